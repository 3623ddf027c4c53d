import { SLACK_MS } from '../support/inTime.ts';
import { newToken } from '../support/startDispatcher.ts';
import { type ApiProcess, buildComplete, HEADERS, postTo, startApiProcess } from './apiProcess.ts';

const MIB = 1024 * 1024;
const LEVELS = 100_000;
const LISTS = '['.repeat(LEVELS) + ']'.repeat(LEVELS);
const OBJECTS = `${'{"a":'.repeat(LEVELS)}1${'}'.repeat(LEVELS)}`;

let api: ApiProcess;
beforeAll(async () => {
  api = await startApiProcess();
});
afterEach(() => api.expectNextAccepted());
afterAll(() => api.stop());

describe('a body over the limit', () => {
  const LARGE = 100 * MIB;
  const chunks = (size: number) => {
    let left = LARGE / size;
    return new ReadableStream<Uint8Array>({
      pull: (controller) => {
        left -= 1;
        if (left < 0) controller.close();
        else controller.enqueue(new Uint8Array(size).fill(32));
      },
    });
  };

  it.each([
    ['of a known length', () => new Uint8Array(LARGE).fill(32), '/signals'],
    ['in chunks', () => chunks(MIB), '/signals'],
    ['in small chunks', () => chunks(1_000), '/signals/batch'],
    ['to another route', () => chunks(MIB), '/dead-letters/redrive'],
  ])('100 MiB %s → 413 or cut off, without being kept in memory', async (_, body, path) => {
    const peak = await api.measurePeakMemory(async () => {
      // The API does not read the rest, so a client that keeps sending may miss the response.
      const status = await api.post(path, body()).then(
        (response) => response.status,
        () => 'cut off',
      );
      expect([413, 'cut off']).toContain(status);
    });

    expect(peak).toBeLessThan(300);
  });

  it('chunks of one byte each → 413, without being kept in memory', async () => {
    const bytes = Buffer.from('1\r\n \r\n'.repeat(20_000));
    const head = `POST /signals HTTP/1.1\r\n${HEADERS}Transfer-Encoding: chunked\r\n\r\n`;

    const peak = await api.measurePeakMemory(async () => {
      expect(await api.sendRaw(head, ...Array.from({ length: 54 }, () => bytes))).toMatch(
        /^HTTP\/1.1 413/,
      );
    });

    expect(peak).toBeLessThan(300);
  });

  it('without a valid key → 401 or cut off, without being read', async () => {
    const status = await api.post('/signals', chunks(MIB), { authorization: 'Bearer wrong' }).then(
      (response) => response.status,
      () => 'cut off',
    );

    expect([401, 'cut off']).toContain(status);
  });
});

describe('many large batches at once', () => {
  const MAX_MEMORY_MIB = 320;
  const batch = (signals: object[]) => JSON.stringify({ signals });
  const texts = (length: number) => Array.from({ length }, (_, n) => `${n}`.padEnd(3_400, 'x'));
  const ids = (length: number) => Array.from({ length }, () => newToken());
  const current = { status: { label: 'x', index: 1, total: 2 }, timestamp: '2026-03-01T10:00:00Z' };

  it.each([
    [
      'long tokens',
      () => batch(texts(1_000).map((text) => ({ ...buildComplete(), token: newToken() + text }))),
    ],
    [
      'many identifiers',
      () =>
        batch(
          Array.from({ length: 500 }, () => ({
            typeCode: 'PositionStatusUpdate',
            positionProfileIds: ids(150),
            current,
          })),
        ),
    ],
  ])('with %s → accepted or 503 with Retry-After, within 320 MiB', async (_, build) => {
    const body = build();
    let statuses: number[] = [];

    const peak = await api.measurePeakMemory(async () => {
      statuses = await Promise.all(
        Array.from({ length: 30 }, async () => {
          const { status, headers } = await api.post('/signals/batch', body);
          expect(headers.get('retry-after')).toBe(status === 503 ? '1' : null);
          return status;
        }),
      );
    });

    expect(new Set(statuses)).toEqual(new Set([202, 503]));
    expect(peak).toBeLessThan(MAX_MEMORY_MIB);
    expect((await api.post('/signals/batch', body)).status).toBe(202);
  });
});

describe('JSON nested a hundred thousand levels deep', () => {
  it.each([
    ['lists', LISTS],
    ['objects', OBJECTS],
    ['a token', `{"typeCode":"ApplicationComplete","token":${LISTS}}`],
    ['a type', `{"typeCode":${OBJECTS}}`],
    ['a position', `{"typeCode":"PositionStatusUpdate","positionProfileIds":${LISTS}}`],
    ['a state', `{"typeCode":"ApplicationStatusUpdate","token":"t","current":${OBJECTS}}`],
    [
      'an unknown field of a state',
      `{"typeCode":"ApplicationStatusUpdate","token":"t","current":{"x":${OBJECTS}}}`,
    ],
  ])('%s → 422 with the invalid fields', async (_, body) => {
    const { status, json } = await api.post('/signals', body);

    expect(status).toBe(422);
    expect(json()).toMatchObject({ invalidFields: expect.any(Object) });
  });

  it('in a batch, with or without LOG_BODIES → only the nested signals are invalid', async () => {
    const logging = await api.startAnother({ LOG_BODIES: 'true' });
    for (const { url } of [api, logging]) {
      const good = [buildComplete(), buildComplete()].map((signal) => JSON.stringify(signal));
      const body = `{"signals":[${good[0]},${LISTS},${OBJECTS},${good[1]}]}`;

      const { status, json } = await postTo(url, '/signals/batch', body);

      expect(status).toBe(202);
      expect(json().results).toEqual([
        expect.objectContaining({ duplicate: false }),
        { invalidFields: expect.any(Object) },
        { invalidFields: expect.any(Object) },
        expect.objectContaining({ duplicate: false }),
      ]);
    }
  });

  it('as a filter → 422 for objects, 400 for lists', async () => {
    expect((await api.post('/dead-letters/redrive', OBJECTS)).status).toBe(422);
    expect((await api.post('/dead-letters/redrive', LISTS)).status).toBe(400);
  });
});

describe('a signal with a very large number of problems', () => {
  const position = (ids: string) =>
    `{"typeCode":"PositionStatusUpdate","positionProfileIds":[${ids}]}`;
  const many = (unit: string, count: number) => Array.from({ length: count }, () => unit).join();
  const fields = (count: number) =>
    Array.from({ length: count }, (_, n) => `"${n.toString(36)}":1`).join();

  it.each([
    ['a MiB of wrong identifiers', '/signals', position(many('1', 500_000))],
    ['a MiB of empty identifiers', '/signals', position(many('""', 340_000))],
    ['a MiB of unknown fields', '/signals', `{${fields(110_000)}}`],
    [
      '4 MiB of wrong identifiers',
      '/signals/batch',
      `{"signals":[${position(many('1', 2_000_000))}]}`,
    ],
    ['4 MiB of unknown fields', '/signals/batch', `{"signals":[{${fields(400_000)}}]}`],
  ])('%s → a short response with at most 100 problems, within 8 seconds', async (_, path, body) => {
    const began = performance.now();

    const peak = await api.measurePeakMemory(async () => {
      const { text } = await api.post(path, body);
      expect(text).toContain('Has more than 100 problems');
      expect(text.length).toBeLessThan(20_000);
    });

    expect(performance.now() - began).toBeLessThan(8_000 + SLACK_MS);
    expect(peak).toBeLessThan(600);
  });
});

describe('a timestamp with very many digits', () => {
  it.each([
    [60_000, 202],
    [100_000, 422],
  ])('a fraction of %d zeros → %d without delay', async (zeros, expected) => {
    const timestamp = `2026-03-01T10:00:00.${'0'.repeat(zeros)}1Z`;
    const began = performance.now();

    const { status } = await api.post(
      '/signals',
      JSON.stringify({ ...buildComplete(), timestamp }),
    );

    expect(status).toBe(expected);
    expect(performance.now() - began).toBeLessThan(SLACK_MS);
  });
});

describe('the log of the API', () => {
  it('after all of this input → no error and no fatal line', () => {
    api.expectNoErrorInLog();
  });
});
