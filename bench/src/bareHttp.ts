import { Agent, request } from 'undici';

import { buildSignal, MUTATION } from './payload.js';

/** undici without a queue: `bareHttp SEEK_URL COUNT` sends fifty concurrent requests. */
const [, , seekUrl = '', count = '0'] = process.argv;
const dispatcher = new Agent({ connections: 50 });
let remaining = Number(count);

const post = async (): Promise<void> => {
  while (remaining > 0) {
    remaining -= 1;
    const body = JSON.stringify({ query: MUTATION, variables: { input: buildSignal(remaining) } });
    const headers = { 'content-type': 'application/json', authorization: 'Bearer bench' };
    const answer = await request(`${seekUrl}/graphql`, {
      dispatcher,
      method: 'POST',
      headers,
      body,
    });
    await answer.body.text();
  }
};
await Promise.all(Array.from({ length: 50 }, post));
await dispatcher.close();
