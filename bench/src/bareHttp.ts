import { Agent, request } from 'undici';

import { buildSignal, MUTATION } from './payload.js';

/** undici with nothing around it: `bareHttp SEEK_URL COUNT`, fifty requests at a time. */
const [, , seekUrl = '', count = '0'] = process.argv;
const dispatcher = new Agent({ connections: 50 });
let left = Number(count);

const post = async (): Promise<void> => {
  while (left > 0) {
    left -= 1;
    const body = JSON.stringify({ query: MUTATION, variables: { input: buildSignal(left) } });
    const headers = { 'content-type': 'application/json', authorization: 'Bearer bench' };
    const answer = await request(`${seekUrl}/graphql`, {
      ...{ dispatcher, method: 'POST', headers, body },
    });
    await answer.body.text();
  }
};
await Promise.all(Array.from({ length: 50 }, post));
await dispatcher.close();
