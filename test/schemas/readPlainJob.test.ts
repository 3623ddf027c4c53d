import fc from 'fast-check';

import { type Prepared, prepareSignal, type Sender } from '../../src/producer/prepareSignal.ts';
import { createAcceptSignals } from '../../src/queue/acceptSignals.ts';
import type { NewJob } from '../../src/queue/backend.ts';
import { createTokenCipher } from '../../src/runtime/tokenCipher.ts';
import { isObject } from '../../src/schemas/json.ts';
import { readPlainJob } from '../../src/schemas/readPlainJob.ts';
import { DEDUPE_WINDOW_MS, SignalJobSchema } from '../../src/schemas/signalJob.ts';
import type { TraceContext } from '../../src/schemas/traceContext.ts';
import { identifier, signalInput } from '../support/arbitraries.ts';
import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSignalJob,
} from '../support/buildSignal.ts';

const NOW = Date.parse('2026-03-03T00:00:00Z');
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

type Acceptance = {
  input: Record<string, unknown>;
  sender: Sender;
  trace: TraceContext | undefined;
  keys: Buffer[];
  dedupeWindowMs: number;
};

const prepare = ({ input, sender }: Acceptance): Prepared => {
  const rules = { allowUnknownTypes: true, audience: '', maxSignalBytes: 1_000_000 };
  const prepared = prepareSignal(input, sender, rules);
  if (prepared instanceof Error) throw prepared;
  return prepared;
};

const unexpected = () => Promise.reject(new Error('Expected a new signal'));

/** The data of the job that the producer writes, as a worker parses it. */
const writeJob = async (acceptance: Acceptance): Promise<unknown> => {
  const written: NewJob[] = [];
  const { accept } = createAcceptSignals({
    backend: {
      enqueueIfAbsent: async (jobs) => {
        written.push(...jobs);
        return jobs.map(() => ({ kind: 'added' as const }));
      },
      takeBack: unexpected,
      waitForReplicas: async () => {},
      clock: { read: async () => NOW, estimate: () => NOW },
      queue: unexpected,
      bookkeeping: { findSkipRecord: unexpected, reopen: unexpected },
      index: { indexSignals: async () => {} },
    },
    lookup: { stateOf: unexpected },
    cipher: createTokenCipher(acceptance.keys),
    dedupeWindowMs: acceptance.dedupeWindowMs,
  });
  await accept([prepare(acceptance).signal], acceptance.trace);
  return JSON.parse(JSON.stringify(written[0]?.data));
};

/** The signal, named by the ATS's own ids. */
const withOwnIds = (input: Record<string, unknown>, id: string): Record<string, unknown> => {
  const { token, candidateApplicationProfileId, ...rest } = input;
  if (rest.typeCode !== 'PositionStatusUpdate') return { ...rest, applicationId: id };
  const { positionProfileIds, ...position } = rest;
  return { ...position, positionId: id };
};

const anyInput = fc.oneof(
  signalInput,
  fc.tuple(signalInput, identifier).map(([input, id]) => withOwnIds(input, id)),
  signalInput.map((input) => ({ ...input, typeCode: 'TypeOfTheFuture' })),
);

const acceptance: fc.Arbitrary<Acceptance> = fc.record({
  input: anyInput,
  sender: fc.record({
    from: fc.string(),
    idempotencyKey: fc.option(fc.string(), { nil: undefined }),
    reportTo: fc.constantFrom(undefined, 'outbox' as const),
  }),
  trace: fc.constantFrom(
    undefined,
    { traceparent: TRACEPARENT },
    { traceparent: TRACEPARENT, tracestate: 'vendor=1' },
  ),
  keys: fc.constantFrom([], [Buffer.alloc(32, 7)]),
  dedupeWindowMs: fc.constantFrom(DEDUPE_WINDOW_MS, 60_000),
});

const expectAsSchema = (data: unknown): boolean => {
  const job = readPlainJob(data);
  if (job === undefined) return false;
  expect(SignalJobSchema.safeParse(data)).toStrictEqual({ success: true, data: job });
  return true;
};

const plainJob = () => {
  const { redrives, attempts, ...job } = buildSignalJob();
  return job;
};

describe('job as a producer writes it', () => {
  it('any signal → read without the schema, as the schema reads it', async () => {
    await fc.assert(
      fc.asyncProperty(acceptance, async (accepted) => {
        const data = await writeJob(accepted);

        expect(expectAsSchema(data)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('its signal → shared, not copied', () => {
    const data = plainJob();

    expect(readPlainJob(data)?.signal).toBe(data.signal);
  });
});

const TEXTS = ['', ' x', 'x\u3000', '\ufeffx', 'x\u0085', 'x\0', '\ud83d', '\ud83d\ude00'];
const LONG_TEXTS = ['x', 'é', '€', '😀'].flatMap((unit) =>
  [255, 256, 512, 513].map((bytes) =>
    unit.repeat(Math.ceil(bytes / Buffer.byteLength(unit))).slice(0, bytes),
  ),
);
const DATES = [
  ...['2026-03-01', '2026-03-01T10:00:00', '2026-03-01T10:00Z', '2026-03-01 10:00:00Z'],
  ...['2026-02-29T10:00:00Z', '2024-02-29T10:00:00Z', '2026-13-01T10:00:00Z'],
  ...['2026-03-01T24:00:00Z', '2026-03-01T10:00:60Z', '2026-03-01T10:00:00.Z'],
  ...['2026-03-01T10:00:00.1230Z', '2026-03-01T10:00:00,5Z', '2026-03-01t10:00:00z'],
  ...['2026-03-01T10:00:00+00:00', '2026-03-01T10:00:00-11:00', '2026-03-01T10:00:00Z\n'],
  ...['0000-03-01T10:00:00Z', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z'],
  ...['+012026-03-01T10:00:00Z', '٢026-03-01T10:00:00Z'],
];
const TRACES = [
  TRACEPARENT.toUpperCase(),
  `${TRACEPARENT}\n`,
  TRACEPARENT.replace(/^00/, '01'),
  TRACEPARENT.replaceAll(/[1-9a-f]/g, '0'),
];
const NUMBERS = [-0, -1, 0.5, 2 ** 31 - 1, 2 ** 31, 2 ** 53, 1e300, Number.POSITIVE_INFINITY];
const RANK = { label: 'l', index: 1, total: 1 };
const STATE = { status: RANK, timestamp: '2026-03-01T10:00:00Z' };
const OTHERS = [
  ...[undefined, null, true, false, 'outbox', 1, 2, 3, 4, 5, '4'],
  ...[[], {}, [''], ['p'], ['p', 'p'], ['p', ' p'], ['p', 7], [['p']], [null]],
  ...[RANK, [RANK], STATE, { ...STATE, phase: RANK }, { ...STATE, success: true }],
  ...[
    { ciphertext: 'c', fingerprint: 'f' },
    { sealed: 'c', fingerprint: 'f' },
  ],
  [{ at: '2026-03-01T10:00:00Z', outcome: 'retry', durationMs: 1, bound: 1 }],
];

const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(...TEXTS, ...LONG_TEXTS),
  fc.constantFrom(...DATES),
  fc.constantFrom<unknown>(...TRACES, ...NUMBERS),
  fc.constantFrom<unknown>(...OTHERS),
  fc.jsonValue({ maxDepth: 2 }),
);

const oddKey = fc.oneof(
  fc.constantFrom(
    ...['version', 'signal', 'encryptedToken', 'contentId', 'dedupeWindowMs', 'reportTo'],
    ...['acceptedAt', 'acceptedFrom', 'redrives', 'redrivenAt', 'redriveOf', 'redriveLog'],
    ...['attempts', 'nextAttemptAt', 'deferrals', 'lastDeferral', 'isolatedCrashes'],
    ...['traceparent', 'tracestate', 'sealedToken', 'rememberMs', 'diedAlone'],
    ...['typeCode', 'token', 'candidateApplicationProfileId', 'positionProfileIds', 'current'],
    ...['previous', 'timestamp', 'applicationId', 'positionId', 'status', 'phase', 'success'],
    ...['label', 'index', 'total', 'ciphertext', 'fingerprint'],
    ...['__proto__', 'constructor', 'toString', 'length', '0', ''],
  ),
  fc.string({ maxLength: 3 }),
);

type Path = readonly string[];

const pathsOf = (value: unknown, at: Path = []): Path[] =>
  typeof value !== 'object' || value === null
    ? [at]
    : [at, ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...at, key]))];

type Change = (value: unknown) => unknown;

const changeKey = (value: unknown, key: string, change: Change): unknown => {
  if (Array.isArray(value)) {
    return value.map((inner, index) => (String(index) === key ? change(inner) : inner));
  }
  return isObject(value)
    ? Object.fromEntries(
        Object.entries(value).map(([name, inner]) => [name, name === key ? change(inner) : inner]),
      )
    : value;
};

const changeAt = (value: unknown, [key, ...rest]: Path, change: Change): unknown =>
  key === undefined ? change(value) : changeKey(value, key, (v) => changeAt(v, rest, change));

const drop = (value: unknown, key: string): unknown =>
  isObject(value)
    ? Object.fromEntries(Object.entries(value).filter(([name]) => name !== key))
    : value;

// `fromEntries` also makes an own field of `__proto__`, as `JSON.parse` does.
const add = (value: unknown, key: string, added: unknown): unknown => {
  if (Array.isArray(value)) return [...value, added];
  return isObject(value) ? Object.fromEntries([...Object.entries(value), [key, added]]) : added;
};

type Mutation = { at: number; kind: 'drop' | 'replace' | 'add'; key: string; value: unknown };

/** Changes one place of the data. `at` chooses it among all of them. */
const mutate = (data: unknown, { at, kind, key, value }: Mutation): unknown => {
  const paths = pathsOf(data);
  const path = paths[at % paths.length] ?? [];
  switch (kind) {
    case 'drop':
      return changeAt(data, path.slice(0, -1), (holder) => drop(holder, path.at(-1) ?? ''));
    case 'replace':
      return changeAt(data, path, () => value);
    case 'add':
      return changeAt(data, path, (holder) => add(holder, key, value));
  }
};

const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat(),
  kind: fc.constantFrom('drop', 'replace', 'add'),
  key: oddKey,
  value: oddValue,
});

describe('any other data', () => {
  it('changed job of a producer → read as the schema reads it, or left to the schema', async () => {
    const mutations = fc.array(mutation, { minLength: 1, maxLength: 2 });
    const reads = { plain: 0, left: 0 };

    await fc.assert(
      fc.asyncProperty(acceptance, mutations, async (accepted, changes) => {
        const data = changes.reduce(mutate, await writeJob(accepted));

        reads[expectAsSchema(data) ? 'plain' : 'left'] += 1;
      }),
      { numRuns: 4_000 },
    );

    // Otherwise the property holds without saying anything.
    expect(reads.plain).toBeGreaterThan(500);
    expect(reads.left).toBeGreaterThan(500);
  });

  it('odd value or key in any place of a job → read as the schema reads it, or left to the schema', () => {
    const odd = [...TEXTS, ...LONG_TEXTS, ...DATES, ...TRACES, ...NUMBERS, ...OTHERS];
    const ids = { positionProfileIds: ['p'], candidateApplicationProfileId: 'c' };
    const ownIds = { applicationId: 'a', positionId: 'p' };
    const states = { current: { ...STATE, phase: RANK, success: null }, previous: STATE };
    const signal = {
      typeCode: 'T',
      token: 't',
      timestamp: STATE.timestamp,
      ...ids,
      ...ownIds,
      ...states,
    };
    const encryptedToken = { ciphertext: 'c', fingerprint: 'f' };
    const traces = { traceparent: TRACEPARENT, tracestate: 's' };
    const optional = { dedupeWindowMs: 1, reportTo: 'outbox', encryptedToken, ...traces };
    const full = { ...plainJob(), signal, ...optional };
    expect(expectAsSchema(full)).toBe(true);

    for (const path of pathsOf(full)) {
      expectAsSchema(
        changeAt(full, path.slice(0, -1), (holder) => drop(holder, path.at(-1) ?? '')),
      );
      for (const value of odd) expectAsSchema(changeAt(full, path, () => value));
      for (const key of ['added', '__proto__']) {
        expectAsSchema(changeAt(full, path, (holder) => add(holder, key, 'added')));
      }
    }
  });

  it('any JSON → read as the schema reads it, or left to the schema', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (data) => void expectAsSchema(data)),
      { numRuns: 1_000 },
    );
    fc.assert(
      fc.property(fc.dictionary(oddKey, oddValue, { noNullPrototype: true }), (fields) => {
        expectAsSchema({ ...plainJob(), ...fields });
        expectAsSchema({ ...plainJob(), signal: fields });
      }),
      { numRuns: 1_000 },
    );
  });

  it.each<{ what: string; change: object }>([
    { what: 'an older version', change: { version: 3 } },
    { what: 'a newer version', change: { version: 5 } },
    { what: 'an attempt', change: { attempts: [] } },
    { what: 'an unknown field', change: { added: 'later' } },
    { what: 'a field that is undefined', change: { contentId: undefined } },
    {
      what: 'a timestamp with an offset',
      change: { signal: buildApplicationComplete({ timestamp: '2026-03-01T10:00:00+01:00' }) },
    },
    {
      what: 'a position that is not in a list',
      change: { signal: buildPositionStatusUpdate({ positionProfileIds: 'position-1' }) },
    },
  ])('$what → left to the schema', ({ change }) => {
    expect(readPlainJob({ ...plainJob(), ...change })).toBeUndefined();
  });
});
