import * as z from 'zod';
import type { SafetyFinding } from '../../src/queue/backend.ts';
import { startSimulator } from '../../src/simulator/createSimulator.ts';
import type { Env } from '../support/commands.ts';
import {
  delivered,
  html,
  raw,
  refused,
  reset,
  type Script,
  type ScriptedAnswer,
} from '../support/scriptedSeek.ts';
import { PLAYGROUND, SECRET, useCheck } from './useCheck.ts';

const Sample = z.looseObject({
  typeCode: z.string(),
  token: z.string().optional(),
  candidateApplicationProfileId: z.string().optional(),
  positionProfileIds: z.array(z.string()).default([]),
  timestamp: z.string().optional(),
});
const Batch = z.object({ signals: z.array(z.unknown()) });

const TYPES = ['ApplicationComplete', 'ApplicationStatusUpdate', 'PositionStatusUpdate'];
const VALID = [
  ...TYPES,
  'ApplicationStatusUpdate with candidateApplicationProfileId',
  'ApplicationStatusUpdate with phase and previous',
  'sendSignals',
];
const INVALID_ROW = 'sendSignals with an invalid row';
const SUBJECTS = [...VALID, INVALID_ROW];

const levels = (of: (subject: string) => SafetyFinding[]) =>
  SUBJECTS.flatMap((subject) => of(subject).map(({ level }) => level));
const ALL_OK = SUBJECTS.map(() => 'ok');

/** Answers as the Playground: FORBIDDEN to each valid request, `invalidRow` to the last one. */
const playground =
  (invalidRow: ScriptedAnswer): Script =>
  (_, number) =>
    number <= VALID.length ? refused('FORBIDDEN') : invalidRow;

const named = (pointer: string): ScriptedAnswer =>
  refused('BAD_USER_INPUT', {
    message: 'No',
    extensions: { invalidFields: { [pointer]: 'Wrong' } },
  });
const NAMED = named('/input/signals/1/token');

describe('check --playground', () => {
  const { check, closeAfterTest } = useCheck();
  const checkPlayground = (env: Env, answers: Script) =>
    check(env, [], { answers, args: ['--playground'] });

  it('FORBIDDEN to every valid sample, and the invalid row named → exit code 0', async () => {
    const { code, of, seek } = await checkPlayground(PLAYGROUND, playground(NAMED));

    expect([code, levels(of)]).toEqual([0, ALL_OK]);
    expect(seek.tokenRequests[0]?.text).toContain(PLAYGROUND.SEEK_AUDIENCE);
    const typeCode = 'ApplicationStatusUpdate';
    const ofTypes = TYPES.map((each) => ({ typeCode: each }));
    expect(seek.inputs()).toMatchObject([
      ...ofTypes,
      { typeCode, candidateApplicationProfileId: expect.stringMatching(/./) },
      {
        typeCode,
        current: { phase: { label: 'In review' }, status: { index: 2 }, success: null },
        previous: { phase: { label: 'In review' }, status: { index: 1 }, success: null },
      },
      { signals: ofTypes },
      { signals: ofTypes },
    ]);
  });

  it('samples → hold only public test data, and every ApplicationComplete has a timestamp', async () => {
    const { seek } = await checkPlayground(PLAYGROUND, playground(NAMED));

    const signals = seek
      .inputs()
      .flatMap((input) => Batch.safeParse(input).data?.signals ?? [input])
      .map((signal) => Sample.parse(signal));
    expect(signals).toHaveLength(11);
    const identifiers = signals.flatMap((signal) => [
      signal.token,
      signal.candidateApplicationProfileId,
      ...signal.positionProfileIds,
    ]);
    for (const id of identifiers.filter((each) => each !== undefined)) {
      expect(id).toMatch(/^(globalPublicTest[-:]|seekAnzPublicTest:)/);
    }
    const completes = signals.filter(({ typeCode }) => typeCode === 'ApplicationComplete');
    expect(completes).toHaveLength(3);
    for (const { timestamp } of completes) expect(timestamp).toMatch(/Z$/);
  });

  it.each<{ what: string; answer: ScriptedAnswer; level: string; says: RegExp }>([
    {
      what: 'names the row',
      answer: NAMED,
      level: 'ok',
      says: /names the invalid row.*HTTP 200: \{.*"\/input\/signals\/1\/token":"Wrong"/,
    },
    {
      what: 'counts rows from 1',
      answer: named('/input/signals/2/token'),
      level: 'warning',
      says: /cannot read.*found 2, expected 1.*"\/input\/signals\/2\/token"/,
    },
    {
      what: 'names rows in another form',
      answer: named('/input/signals[1]/token'),
      level: 'warning',
      says: /cannot read.*found none, expected 1.*"\/input\/signals\[1\]\/token"/,
    },
    {
      what: 'FORBIDDEN',
      answer: refused('FORBIDDEN', { message: 'Not here' }),
      level: 'warning',
      says: /did not reject.*"Not here"/,
    },
    {
      what: 'true',
      answer: delivered(),
      level: 'error',
      says: /not the Playground.*"sendSignals":true/,
    },
    { what: 'HTML', answer: html(502), level: 'error', says: /HTTP_502.*HTTP 502: <html>/ },
    { what: 'no answer', answer: reset(), level: 'error', says: /UNREACHABLE.*no answer$/ },
  ])(
    'answer to the invalid row: $what → $level with the raw answer',
    async ({ answer, level, says }) => {
      const { code, of } = await checkPlayground(PLAYGROUND, playground(answer));

      expect(of(INVALID_ROW)).toEqual([
        { subject: INVALID_ROW, level, message: expect.stringMatching(says) },
      ]);
      expect(code).toBe(level === 'error' ? 1 : 0);
    },
  );

  it.each<{ what: string; wrap: (text: string) => ScriptedAnswer }>([
    { what: 'text', wrap: raw },
    { what: 'GraphQL error', wrap: (message) => refused('BAD_USER_INPUT', { message }) },
  ])(
    'raw answer that is a $what with secrets and control characters → masked, on one line and cut',
    async ({ wrap }) => {
      const { of } = await checkPlayground(PLAYGROUND, (request, number) => {
        if (number <= VALID.length) return refused('FORBIDDEN');
        const { authorization = '' } = request.headers;
        const controls = '\u001b[2J\u009b\u202e\u2028\r\n';
        return wrap(`${authorization} ${SECRET} ${controls}${'x'.repeat(9_000)}`);
      });

      const message = of(INVALID_ROW)[0]?.message ?? '';
      expect(message).toMatch(/HTTP 200: .*Bearer \[masked\] \[masked\] .*xxx…$/);
      expect(message).not.toMatch(/partner-token|[\p{Cc}\p{Cf}\p{Zl}]/u);
      expect(message.length).toBeLessThan(4_000);
    },
  );

  it('BAD_USER_INPUT or HTTP 502 → an error for that sample, exit code 1', async () => {
    const { code, of } = await checkPlayground(PLAYGROUND, [
      refused('FORBIDDEN'),
      refused('BAD_USER_INPUT', { message: 'No' }),
      html(502),
      refused('FORBIDDEN'),
      refused('FORBIDDEN'),
      refused('BAD_USER_INPUT', { message: 'No' }),
      NAMED,
    ]);

    expect([code, levels(of)]).toEqual([1, ['ok', 'error', 'error', 'ok', 'ok', 'error', 'ok']]);
    expect(of('ApplicationStatusUpdate')[0]?.message).toMatch(/BAD_USER_INPUT: No.*X-Request-Id/);
  });

  it('the simulator → exit code 0', async () => {
    const credentials = { clientId: 'any', clientSecret: SECRET };
    const simulator = await startSimulator(credentials);
    closeAfterTest(simulator.close);

    const { code, of } = await check(
      {
        ...PLAYGROUND,
        SEEK_API_URL: simulator.graphqlUrl,
        SEEK_AUTH_URL: simulator.authUrl,
        SEEK_CLIENT_ID: credentials.clientId,
      },
      [],
      { args: ['--playground'] },
    );

    expect([code, levels(of)]).toEqual([0, ALL_OK]);
  });

  it.each<[string, Env]>([
    ['the live environment', {}],
    ['missing credentials', { ...PLAYGROUND, SEEK_CLIENT_ID: '' }],
  ])('%s → an error, and no request to SEEK', async (_, env) => {
    const { code, of, seek } = await checkPlayground(env, []);

    expect([code, of('playground').map(({ level }) => level)]).toEqual([1, ['error']]);
    expect(seek.requests).toEqual([]);
  });
});
