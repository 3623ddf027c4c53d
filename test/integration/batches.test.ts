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

const Body = z.object({
  query: z.string(),
  variables: z.object({
    input: z.union([
      z.object({ signals: z.array(z.object({ token: z.string() })) }),
      z.object({ token: z.string() }),
    ]),
  }),
});

/** The tokens that a request carries, and by which mutation. */
const read = ({ body }: RecordedRequest) => {
  const { query, variables } = Body.parse(body);
  const { input } = variables;
  const together = 'signals' in input;
  const tokens = together ? input.signals.map(({ token }) => token) : [input.token];
  expect(query).toContain(together ? 'sendSignals(input: $input)' : 'sendSignal(input: $input)');
  return { together, tokens };
};

/** SEEK's verdict on the rows of a request: the batch is taken whole or not at all. */
const judging =
  (
    refuse: (bad: number[], together: boolean) => ScriptedAnswer,
    isBad: (token: string) => boolean,
  ) =>
  (request: RecordedRequest): ScriptedAnswer => {
    const { tokens, together } = read(request);
    const bad = tokens.flatMap((token, row) => (isBad(token) ? [row] : []));
    return slow(10, bad.length > 0 ? refuse(bad, together) : delivered());
  };

const named = (bad: number[], together: boolean): ScriptedAnswer =>
  refused('BAD_USER_INPUT', {
    message: 'The input is not valid',
    extensions: {
      invalidFields: Object.fromEntries(
        bad.map((row) => [`/input${together ? `/signals/${row}` : ''}/token`, 'Is not valid']),
      ),
    },
  });

const env = { BATCH_SIZE: '20', BATCH_LINGER_MS: '20' };

describe.each(PLATFORMS)('batches on $name', ({ start }) => {
  const { setup } = usePlatform(start);

  const tokens = (count: number) => Array.from({ length: count }, newToken);
  const complete = (token: string) => buildApplicationComplete({ token });

  it('lets signals that wait together share a request, and a lone one go by itself', async () => {
    const { seek, send, sendAll, until } = await setup({
      env,
      answers: () => slow(10, delivered()),
    });

    const all = tokens(60);
    for (const { signalId } of await sendAll(all.map(complete))) await until(signalId, 'delivered');
    const requests = seek.requests.map(read);
    const lone = newToken();
    await until((await send(complete(lone))).signalId, 'delivered');

    expect(requests.flatMap((request) => request.tokens).sort()).toEqual([...all].sort());
    expect(requests.length).toBeLessThan(30);
    expect(Math.max(...requests.map((request) => request.tokens.length))).toBeLessThanOrEqual(20);
    expect(seek.requests.slice(requests.length).map(read)).toEqual([
      { together: false, tokens: [lone] },
    ]);
  });

  it.each([
    ['names the rows', named],
    ['names nobody', () => refused('BAD_USER_INPUT', { message: 'Is not valid' })],
    ['is FORBIDDEN', () => refused('FORBIDDEN')],
    ['is an error of the server', () => html(500)],
  ])(
    'isolates the bad ones when the refusal %s: no neighbour loses an attempt',
    async (_, refuse) => {
      const all = tokens(60);
      const bad = new Set([3, 4, 21, 59].flatMap((index) => all[index] ?? []));
      const { seek, sendAll, until, untilBuried, find } = await setup({
        env: { ...env, RETRY_MAX_ATTEMPTS: '2' },
        answers: judging(refuse, (token) => bad.has(token)),
      });

      const accepted = await sendAll(all.map(complete));
      for (const [index, { signalId }] of accepted.entries()) {
        if (bad.has(all[index] ?? '')) await untilBuried(signalId);
        else await until(signalId, 'delivered');
      }

      const good = accepted.filter((_signal, index) => !bad.has(all[index] ?? ''));
      for (const { signalId } of good) {
        expect((await find(signalId))?.attempts).toMatchObject([{ outcome: 'delivered' }]);
      }
      const taken = seek.requests
        .map(read)
        .filter((request) => !request.tokens.some((token) => bad.has(token)))
        .flatMap((request) => request.tokens);
      expect(taken.sort()).toEqual(all.filter((token) => !bad.has(token)).sort());
    },
  );

  it('tells a bad row what it would have been told alone', async () => {
    const all = tokens(30);
    const bad = all[25] ?? '';
    const { sendAll, untilBuried, logs } = await setup({
      env,
      answers: judging(named, (token) => token === bad),
    });

    const accepted = await sendAll(all.map(complete));
    const deadLetter = await untilBuried(accepted[25]?.signalId ?? '');

    expect(deadLetter).toMatchObject({
      code: 'BAD_USER_INPUT',
      reason: 'The input is not valid; /input/token: Is not valid',
    });
    expect(logs.text()).not.toContain(bad);
  });

  it('falls back to sendSignal, with one warning, where the server has no sendSignals', async () => {
    const { seek, sendAll, until, logs } = await setup({
      env,
      answers: (request) =>
        slow(
          10,
          read(request).together
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

    const together = seek.requests.map(read).filter((request) => request.together);
    expect(together.length).toBeLessThanOrEqual(3);
    const warnings = logs.lines().filter(({ level }) => level === 'warn');
    expect(warnings.map(({ msg }) => msg)).toEqual([
      'SEEK does not know sendSignals: batches are off',
    ]);
  });

  it('hands a batch back when the worker stops, with no attempt spent', async () => {
    let stopped = false;
    const { seek, sendAll, until, startWorker, find } = await setup({
      env,
      workers: 0,
      answers: () => (stopped ? delivered() : hang()),
    });
    const first = await startWorker();
    const accepted = await sendAll(tokens(20).map(complete));
    await until(accepted[0]?.signalId ?? '', 'active');
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
