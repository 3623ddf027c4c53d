import * as z from 'zod';

import { buildApplicationComplete } from '../support/buildSignal.ts';
import { PLATFORMS } from '../support/platforms.ts';
import {
  delivered,
  hang,
  html,
  json,
  type RecordedRequest,
  refused,
  type ScriptedAnswer,
  slow,
} from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';
import { waitFor } from '../support/waitFor.ts';

const Body = z.object({
  query: z.string(),
  variables: z.object({
    input: z.union([
      z.object({ signals: z.array(z.object({ token: z.string() })) }),
      z.object({ token: z.string() }),
    ]),
  }),
});

/** The tokens in a request. `isBatch`: sent by `sendSignals`. */
const read = ({ body }: RecordedRequest) => {
  const { query, variables } = Body.parse(body);
  const { input } = variables;
  const isBatch = 'signals' in input;
  const tokens = isBatch ? input.signals.map(({ token }) => token) : [input.token];
  expect(query).toContain(isBatch ? 'sendSignals(input: $input)' : 'sendSignal(input: $input)');
  return { isBatch, tokens };
};

/** SEEK answers a request: it accepts all rows, or rejects the whole batch because of the bad ones. */
const rejectBad =
  (
    reject: (bad: number[], isBatch: boolean) => ScriptedAnswer,
    isBad: (token: string) => boolean,
  ) =>
  (request: RecordedRequest): ScriptedAnswer => {
    const { tokens, isBatch } = read(request);
    const bad = tokens.flatMap((token, row) => (isBad(token) ? [row] : []));
    return slow(10, bad.length > 0 ? reject(bad, isBatch) : delivered());
  };

const nameRows = (bad: number[], isBatch: boolean): ScriptedAnswer =>
  refused('BAD_USER_INPUT', {
    message: 'The input is not valid',
    extensions: {
      invalidFields: Object.fromEntries(
        bad.map((row) => [`/input${isBatch ? `/signals/${row}` : ''}/token`, 'Is not valid']),
      ),
    },
  });

const env = { BATCH_SIZE: '20', BATCH_LINGER_MS: '20' };

describe.each(PLATFORMS)('batches on $name', ({ start }) => {
  const { setup } = usePlatform(start);

  const tokens = (count: number) => Array.from({ length: count }, newToken);
  const complete = (token: string) => buildApplicationComplete({ token });

  it('HTTP 413 to large requests → batches are split, and only a signal that is too large alone becomes a dead letter', async () => {
    const { sendAll, until, untilDeadLettered, logs } = await setup({
      env: { ...env, RETRY_BASE_MS: '10' },
      answers: ({ text }) => slow(10, text.length > 3_000 ? html(413) : delivered()),
    });
    const large = tokens(6).map((token) => complete(token + 'x'.repeat(4_000)));
    const small = tokens(54).map(complete);

    const accepted = await sendAll([...small, ...large]);

    for (const { signalId } of accepted.slice(0, 54)) await until(signalId, 'delivered');
    for (const { signalId } of accepted.slice(54)) {
      expect(await untilDeadLettered(signalId)).toMatchObject({ code: 'HTTP_413' });
    }
    expect(logs.text()).not.toContain('delivery.suspended');
  });

  it('signals that wait at once → share requests of at most 20; a single signal → is sent alone', async () => {
    const { seek, send, sendAll, until } = await setup({
      env,
      answers: () => slow(10, delivered()),
    });

    const all = tokens(60);
    for (const { signalId } of await sendAll(all.map(complete))) await until(signalId, 'delivered');
    const requests = seek.requests.map(read);
    const single = newToken();
    await until((await send(complete(single))).signalId, 'delivered');

    expect(requests.flatMap((request) => request.tokens).sort()).toEqual([...all].sort());
    expect(requests.length).toBeLessThan(30);
    expect(Math.max(...requests.map((request) => request.tokens.length))).toBeLessThanOrEqual(20);
    expect(seek.requests.slice(requests.length).map(read)).toEqual([
      { isBatch: false, tokens: [single] },
    ]);
  });

  it.each([false, null])(
    'SEEK answers %p without errors → every signal is delivered by one attempt that has the value, and counted',
    async (value) => {
      const { seek, sendAll, until, startWorker } = await setup({
        env,
        workers: 0,
        answers: (request) =>
          slow(
            10,
            json({ data: { [read(request).isBatch ? 'sendSignals' : 'sendSignal']: value } }),
          ),
      });
      const all = tokens(30);
      const sent = await sendAll(all.map(complete));

      const { metrics } = await startWorker();
      const records = await Promise.all(sent.map(({ signalId }) => until(signalId, 'delivered')));

      for (const { attempts } of records) {
        expect(attempts).toMatchObject([{ outcome: 'delivered', seekAnswer: value }]);
      }
      const requests = seek.requests.map(read);
      expect(requests.some(({ isBatch }) => isBatch)).toBe(true);
      expect(requests.flatMap((request) => request.tokens).sort()).toEqual([...all].sort());
      expect(await metrics.scrape()).toMatch(/^seek_signals_unconfirmed_total 30$/m);
    },
  );

  it.each([
    ['names the rows', nameRows],
    ['names no row', () => refused('BAD_USER_INPUT', { message: 'Is not valid' })],
    ['is FORBIDDEN', () => refused('FORBIDDEN')],
    ['is a server error', () => html(500)],
  ])(
    'rejection %s → bad signals are dead letters, the others are delivered in one attempt',
    async (_, reject) => {
      const all = tokens(60);
      const bad = new Set([3, 4, 21, 59].flatMap((index) => all[index] ?? []));
      const { seek, sendAll, until, untilDeadLettered, find } = await setup({
        env: { ...env, RETRY_MAX_ATTEMPTS: '2' },
        answers: rejectBad(reject, (token) => bad.has(token)),
      });

      const accepted = await sendAll(all.map(complete));
      for (const [index, { signalId }] of accepted.entries()) {
        if (bad.has(all[index] ?? '')) await untilDeadLettered(signalId);
        else await until(signalId, 'delivered');
      }

      const good = accepted.filter((_signal, index) => !bad.has(all[index] ?? ''));
      for (const { signalId } of good) {
        expect((await find(signalId))?.attempts).toMatchObject([{ outcome: 'delivered' }]);
      }
      const deliveredTokens = seek.requests
        .map(read)
        .filter((request) => !request.tokens.some((token) => bad.has(token)))
        .flatMap((request) => request.tokens);
      expect(deliveredTokens.sort()).toEqual(all.filter((token) => !bad.has(token)).sort());
    },
  );

  it('bad row of a batch → dead letter with the reason it would have alone', async () => {
    const all = tokens(30);
    const bad = all[25] ?? '';
    const { sendAll, untilDeadLettered, logs } = await setup({
      env,
      answers: rejectBad(nameRows, (token) => token === bad),
    });

    const accepted = await sendAll(all.map(complete));
    const deadLetter = await untilDeadLettered(accepted[25]?.signalId ?? '');

    expect(deadLetter).toMatchObject({
      code: 'BAD_USER_INPUT',
      reason: 'The input is not valid; /input/token: Is not valid',
    });
    expect(logs.text()).not.toContain(bad);
  });

  it('server without sendSignals → each signal is sent alone, after one warning', async () => {
    const { seek, sendAll, until, logs } = await setup({
      env,
      answers: (request) =>
        slow(
          10,
          read(request).isBatch
            ? json(
                {
                  errors: [
                    {
                      message: 'Cannot query field "sendSignals" on type "Mutation".',
                      extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
                    },
                  ],
                },
                { status: 400 },
              )
            : delivered(),
        ),
    });

    for (const { signalId } of await sendAll(tokens(60).map(complete))) {
      expect((await until(signalId, 'delivered')).attempts).toHaveLength(1);
    }

    const batches = seek.requests.map(read).filter((request) => request.isBatch);
    expect(batches.length).toBeLessThanOrEqual(3);
    const warnings = logs.lines().filter(({ level }) => level === 'warn');
    expect(warnings.map(({ msg }) => msg)).toEqual([
      'SEEK does not know sendSignals; each signal is sent alone',
    ]);
  });

  it('worker stops during a batch → its signals wait again, without an attempt', async () => {
    let stopped = false;
    const { seek, sendAll, until, startWorker, find } = await setup({
      env,
      workers: 0,
      answers: () => (stopped ? delivered() : hang()),
    });
    const first = await startWorker();
    const accepted = await sendAll(tokens(20).map(complete));
    await waitFor(() => seek.requests.length > 0);
    await first.close();
    stopped = true;

    for (const { signalId } of accepted) {
      expect(await find(signalId)).toMatchObject({ state: 'waiting', attempts: [] });
    }
    await startWorker();
    for (const { signalId } of accepted) await until(signalId, 'delivered');
    expect(seek.requests.length).toBeGreaterThan(1);
  });
});
