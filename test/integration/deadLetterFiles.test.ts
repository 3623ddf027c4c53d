import {
  buildApplicationComplete,
  buildDeadLetter,
  buildSignalJob,
} from '../support/buildSignal.ts';
import { onRedis, PLATFORMS, type Platform } from '../support/platforms.ts';
import { refused } from '../support/scriptedSeek.ts';
import { API_KEY, newToken, startDispatcher } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';
import { waitFor } from '../support/waitFor.ts';

const complete = () => buildApplicationComplete({ token: newToken() });

type Dispatcher = Awaited<ReturnType<typeof startDispatcher>>;

const withFiles = (dispatcher: Dispatcher) => ({
  ...dispatcher,
  exported: async (query = '') => {
    const answer = await dispatcher.call('GET', `/dead-letters/export${query}`);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      200,
      'application/x-ndjson',
    ]);
    const text = await answer.text();
    return {
      text,
      ids: [...text.matchAll(/^{"version":2,"signalId":"([^"]+)"/gm)].map(([, id]) => id),
    };
  },
  imported: async (body: string) => {
    const answer = await fetch(`${dispatcher.url}/dead-letters/import`, {
      method: 'POST',
      headers: { authorization: `Bearer ${API_KEY}` },
      body,
    });
    return { status: answer.status, json: await answer.json() };
  },
});

const sendToDeadLetters = async (
  { sendAll, untilDeadLettered }: Dispatcher,
  count: number,
): Promise<string[]> => {
  const accepted = await sendAll(Array.from({ length: count }, complete));
  const ids = accepted.map(({ signalId }) => signalId);
  for (const id of ids) await untilDeadLettered(id);
  return ids;
};

const rejectAll = (code: string) => ({ answers: () => refused(code) });

describe.each(PLATFORMS)('dead letters in a file, on $name', ({ start }) => {
  const { setup: setupDispatcher } = usePlatform(start);
  const setup = async (count = 1, options: Parameters<typeof setupDispatcher>[0] = {}) => {
    const dispatcher = await setupDispatcher({ ...rejectAll('FORBIDDEN'), ...options });
    const ids = await sendToDeadLetters(dispatcher, count);
    dispatcher.seek.answerWith([]);
    const discard = async (id: string, reason = 'test') => {
      const { status } = await dispatcher.call('DELETE', `/dead-letters/${id}?reason=${reason}`);
      expect(status).toBe(204);
    };
    return { ...withFiles(dispatcher), ids, id: ids[0] ?? '', discard };
  };

  it('exported → the file holds each match once, with its signal', async () => {
    const { ids, exported, deadLetters, logs } = await setup(130);

    const [all, two, none] = [
      await exported(),
      await exported('?code=FORBIDDEN&limit=2'),
      await exported('?applicationId=none'),
    ];

    expect(all.ids.toSorted()).toEqual(ids.toSorted());
    expect([two.ids.length, none.text]).toEqual([2, '']);
    expect(JSON.parse(all.text.split('\n')[0] ?? '')).toMatchObject({
      version: 2,
      code: 'FORBIDDEN',
      job: { signal: { token: expect.any(String) } },
    });
    expect(await deadLetters('?limit=1000')).toHaveLength(130);
    expect(logs.lines().filter(({ msg }) => msg === 'deadLetters.exported')).toEqual([
      expect.objectContaining({ by: 'ats', exported: 130, isComplete: true }),
      expect.objectContaining({ by: 'ats', exported: 2, isComplete: true }),
      expect.objectContaining({ by: 'ats', exported: 0, isComplete: true }),
    ]);
  }, 60_000);

  it('discarded and imported → are as before and can be redriven', async () => {
    const { id, exported, imported, discard, find, untilDeadLettered, redrive, until, seek, logs } =
      await setup();
    const before = await untilDeadLettered(id);
    const { text } = await exported();
    await discard(id);

    expect(await imported(text)).toEqual({
      status: 200,
      json: { imported: 1, skipped: 0, invalid: [] },
    });

    expect(await untilDeadLettered(id)).toEqual(before);
    expect(await find(id)).toMatchObject({ state: 'dead', reason: 'FORBIDDEN' });
    expect((await imported(text)).json).toEqual({ imported: 0, skipped: 1, invalid: [] });
    expect(await redrive(id)).toBe(202);
    expect(await until(id, 'delivered')).toMatchObject({ redrives: 1 });
    expect(seek.requests).toHaveLength(2);
    expect((await imported(text)).json).toEqual({ imported: 0, skipped: 1, invalid: [] });
    expect(logs.lines().find(({ msg }) => msg === 'deadLetters.imported')).toMatchObject({
      by: 'ats',
      imported: 1,
      skipped: 0,
      invalid: 0,
    });
  });

  it('discarded twice → can be imported twice', async () => {
    const { id, exported, imported, discard, untilDeadLettered, until } = await setup();
    const { text } = await exported();
    await discard(id, 'first');
    await imported(text);
    await untilDeadLettered(id);

    await discard(id, 'second');

    expect((await until(id, 'skipped')).reason).toMatch(/: second$/);
    expect((await imported(text)).json).toMatchObject({ imported: 1 });
    await untilDeadLettered(id);
  });

  it('that still exist, or were delivered → are skipped', async () => {
    const { ids, exported, imported, redrive, until, deadLetters } = await setup(2);
    const { text } = await exported();
    const [existing = '', sent = ''] = ids;
    await redrive(sent);
    await until(sent, 'delivered');
    await waitFor(async () => (await deadLetters()).length === 1);

    expect((await imported(text)).json).toEqual({ imported: 0, skipped: 2, invalid: [] });

    expect((await deadLetters()).map(({ signalId }) => signalId)).toEqual([existing]);
    expect(await until(sent, 'delivered')).toMatchObject({ redrives: 1 });
  });

  it('of an erased application → are skipped', async () => {
    const dispatcher = withFiles(await setupDispatcher(rejectAll('FORBIDDEN')));
    const { call, send, untilDeadLettered, exported, imported, deadLetters } = dispatcher;
    const applicationId = `application-${newToken()}`.replaceAll(/[^\w-]/g, '-');
    const path = `/applications/${applicationId}/seek-token`;
    await call('PUT', path, { token: newToken(), source: 'linkOut' });
    const { signalId } = await send(buildApplicationComplete({ token: undefined, applicationId }));
    await untilDeadLettered(signalId);
    const { text } = await exported(`?applicationId=${applicationId}`);

    expect((await call('DELETE', path)).status).toBe(204);

    expect((await imported(text)).json).toEqual({ imported: 0, skipped: 1, invalid: [] });
    const ofUnknownSignal = text.replaceAll(signalId, `of-${applicationId}`);
    expect((await imported(ofUnknownSignal)).json).toEqual({
      imported: 0,
      skipped: 1,
      invalid: [],
    });
    expect(await deadLetters()).toEqual([]);
  });

  it('among invalid lines → are imported, and the invalid lines are named', async () => {
    const { id, exported, imported, discard, untilDeadLettered } = await setup();
    const { text } = await exported();
    await discard(id);

    const { status, json } = await imported(`{"secret":\n\n${text}{"version":1}\n`);

    expect(status).toBe(200);
    expect(json).toEqual({
      imported: 1,
      skipped: 0,
      invalid: [
        { line: 1, message: 'Is not JSON in UTF-8' },
        { line: 4, message: expect.stringMatching(/^\/signalId: Is required; /) },
      ],
    });
    await untilDeadLettered(id);
    expect((await imported('\n'.repeat(1_001))).status).toBe(413);
    expect((await imported('x'.repeat(4 * 1024 * 1024 + 1))).status).toBe(413);
  });

  it('from another deployment → are imported and their signals can be delivered', async () => {
    const { imported, untilDeadLettered, call, until, redrive, seek, deadLetters } = await setup(0);
    const signal = complete();
    const signalId = `from-elsewhere-${newToken()}`.replaceAll(/[^\w-]/g, '-');
    const job = buildSignalJob({ signal, contentId: signalId });
    const change = { signalId, failedJob: { jobId: signalId, finishedAt: 1_772_370_000_000 }, job };
    const deadLetter = buildDeadLetter({
      ...change,
      typeCode: signal.typeCode,
      redriveRequested: true,
    });

    expect((await imported(JSON.stringify(deadLetter))).json).toMatchObject({ imported: 1 });

    const deadLettered = await untilDeadLettered(signalId);
    expect(deadLettered).toMatchObject({
      diedAt: deadLetter.diedAt,
      acceptedAt: deadLetter.acceptedAt,
    });
    expect(seek.requests).toEqual([]);
    expect(await redrive(signalId)).toBe(202);
    await until(signalId, 'delivered');
    expect(seek.inputs()).toEqual([signal]);
    await waitFor(async () => (await deadLetters()).length === 0);
    expect((await call('GET', `/dead-letters/${signalId}`)).status).toBe(404);
  });

  it('imported and discarded → are skipped', async () => {
    const { imported, untilDeadLettered, discard, until } = await setup(0);
    const signalId = `from-elsewhere-${newToken()}`.replaceAll(/[^\w-]/g, '-');
    const deadLetter = buildDeadLetter({ signalId, failedJob: { jobId: signalId, finishedAt: 1 } });
    await imported(JSON.stringify(deadLetter));
    await untilDeadLettered(signalId);

    await discard(signalId);

    expect((await until(signalId, 'skipped')).reason).toContain('test');
  });

  it('imported three times at once → exist once each', async () => {
    const { ids, exported, imported, discard, untilDeadLettered, deadLetters } = await setup(20);
    const { text } = await exported();
    for (const id of ids) await discard(id);

    await Promise.all([imported(text), imported(text), imported(text)]);

    for (const id of ids) await untilDeadLettered(id);
    expect(await deadLetters()).toHaveLength(20);
    expect((await imported(text)).json).toEqual({ imported: 0, skipped: 20, invalid: [] });
  });
});

describe('dead letters in a file, between two deployments', () => {
  const platforms: Platform[] = [];
  afterAll(async () => {
    for (const platform of platforms) await platform.stop();
  });

  it('with encrypted tokens → are delivered by the deployment that has the key', async () => {
    const env = { TOKEN_ENCRYPTION_KEYS: Buffer.alloc(32, 7).toString('base64') };
    platforms.push(await onRedis(), await onRedis());
    const [first, second] = await Promise.all(
      platforms.map(async (platform) =>
        withFiles(await startDispatcher(platform, { ...rejectAll('FORBIDDEN'), env })),
      ),
    );
    if (first === undefined || second === undefined) throw new Error('not started');
    const signal = complete();
    const { signalId } = await first.send(signal);
    await first.untilDeadLettered(signalId);
    second.seek.answerWith([]);

    const { text } = await first.exported();
    expect((await second.imported(text)).json).toEqual({ imported: 1, skipped: 0, invalid: [] });
    await second.untilDeadLettered(signalId);
    expect(await second.send(signal)).toEqual({ signalId, duplicate: true, state: 'dead' });
    expect(await second.redrive(signalId)).toBe(202);
    await second.until(signalId, 'delivered');

    expect(text).not.toContain(signal.token);
    expect(second.seek.inputs()).toEqual([signal]);
    await Promise.all([first.stop(), second.stop()]);
  });
});
