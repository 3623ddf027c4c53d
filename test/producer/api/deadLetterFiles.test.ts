import { createAvailable } from '../../../src/producer/api/available.ts';
import { createDeadLetterFileRoutes } from '../../../src/producer/api/deadLetterFiles.ts';
import { explainLocalFailure } from '../../../src/queue/failure.ts';
import { serve } from '../../../src/runtime/httpServer.ts';
import { type DeadLetter, DeadLetterSchema } from '../../../src/schemas/deadLetter.ts';
import { buildDeadLetter } from '../../support/buildSignal.ts';
import { captureLogs } from '../../support/captureLogs.ts';
import { waitFor } from '../../support/waitFor.ts';

const deadLetter = DeadLetterSchema.parse(buildDeadLetter({ reason: 'x'.repeat(10_000) }));

let stop = async () => {};
afterEach(() => stop());

const setup = async (deadLetters: () => AsyncGenerator<DeadLetter>) => {
  const logs = captureLogs();
  const app = createDeadLetterFileRoutes({
    exportDeadLetters: deadLetters,
    importDeadLetters: async () => ({ imported: 0, skipped: 0, invalid: [] }),
    available: createAvailable(explainLocalFailure),
    explainFailure: explainLocalFailure,
    logger: logs.logger,
  });
  const server = await serve(app, { host: '127.0.0.1', port: 0 });
  stop = server.cut;
  const ended = () => waitFor(() => logs.lines().find(({ msg }) => msg === 'deadLetters.exported'));
  return { url: `${server.url}/export`, ended };
};

describe('GET /dead-letters/export', () => {
  it('queue fails in the middle → the response breaks off within a line', async () => {
    const { url, ended } = await setup(async function* () {
      yield deadLetter;
      yield deadLetter;
      throw new Error('gone');
    });

    const text = await fetch(url)
      .then((answer) => answer.text())
      .catch(() => undefined);

    const last = text?.split('\n').at(-1) ?? 'cut off';
    expect(() => JSON.parse(last)).toThrow();
    expect(await ended()).toMatchObject({ exported: 2, isComplete: false });
  });

  it('queue fails before the first dead letter → no 200', async () => {
    const { url } = await setup(async function* () {
      throw new Error('gone');
      // biome-ignore lint/correctness/noUnreachable: gives the generator its type
      yield deadLetter;
    });

    expect((await fetch(url)).status).toBe(500);
  });

  it('client disconnects → reading ends', async () => {
    let isReturned = false;
    const { url, ended } = await setup(async function* () {
      try {
        for (;;) yield deadLetter;
      } finally {
        isReturned = true;
      }
    });
    const client = new AbortController();

    await fetch(url, { signal: client.signal });
    client.abort();

    expect(await ended()).toMatchObject({ isComplete: false });
    await waitFor(() => isReturned);
  });
});
