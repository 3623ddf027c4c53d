import { randomBytes } from 'node:crypto';
import { createSignalQueue } from '../../src/queue/acceptSignals.ts';
import { type Backend, DEAD_LETTERS, SIGNALS } from '../../src/queue/backend.ts';
import { createLookup } from '../../src/queue/lookup.ts';
import { createTokenCipher } from '../../src/runtime/tokenCipher.ts';
import { createReencrypt } from '../../src/seekTokens/reencrypt.ts';
import { createSeekTokens } from '../../src/seekTokens/registry.ts';
import { buildApplicationComplete, buildSignal } from '../support/buildSignal.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { after, delivered, hang, refused } from '../support/scriptedSeek.ts';
import { type Dispatcher, newToken } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';
import { waitFor } from '../support/waitFor.ts';

const DAY_MS = 86_400_000;
const ago = (days: number): string => new Date(Date.now() - days * DAY_MS).toISOString();
const newKey = (): string => randomBytes(32).toString('base64');

let made = 0;
/** No two are alike, and each wants to be encoded in a path. */
const newApplication = (): string => {
  made += 1;
  return `application ${made}/ü`;
};

const at = (applicationId: string): string =>
  `/applications/${encodeURIComponent(applicationId)}/seek-token`;

/** The registry on a queue, and the cipher that it encrypts with; without a key, tokens stay in the clear. */
const registryUnder = (backend: Backend, ...keys: string[]) => {
  const cipher = createTokenCipher(keys.map((key) => Buffer.from(key, 'base64')));
  return { cipher, tokens: createSeekTokens({ store: backend.tokens, cipher, ttlDays: 180 }) };
};

describe.each(PLATFORMS)('seek tokens on $name', ({ start }) => {
  const { setup: setupPlatform } = usePlatform(start);

  const setup = async (options: Parameters<typeof setupPlatform>[0] = {}) => {
    const dispatcher = await setupPlatform(options);
    const { call, backend, seek } = dispatcher;
    return {
      ...dispatcher,
      put: async (applicationId: string, body: object) => {
        const answer = await call('PUT', at(applicationId), body);
        return {
          status: answer.status,
          warning: answer.headers.get('warning'),
          text: await answer.text(),
        };
      },
      erase: async (applicationId: string) => (await call('DELETE', at(applicationId))).status,
      /** All that the queue holds of a signal, wherever it lies. */
      stored: async (signalId: string): Promise<string> => {
        const jobs = await Promise.all(
          [SIGNALS, DEAD_LETTERS].map(async (name) =>
            (await backend.queue(name === SIGNALS ? SIGNALS : DEAD_LETTERS)).getJob(signalId),
          ),
        );
        return JSON.stringify(jobs.map((job) => [job?.data, job?.returnvalue, job?.failedReason]));
      },
      sentTokens: () => seek.inputs().map((input) => Reflect.get(Object(input), 'token')),
    };
  };

  const named = (applicationId: string) =>
    buildSignal({ token: undefined, applicationId, current: { ...buildSignal().current } });

  it('are shown masked, with where they came from and until when they live', async () => {
    const { put, call, logs } = await setup({ workers: 0 });
    const [applicationId, token] = [newApplication(), newToken()];
    const receivedAt = ago(10);

    expect(await put(applicationId, { token, source: 'linkOut', receivedAt })).toEqual({
      ...{ status: 204, warning: null, text: '' },
    });
    const answer = await call('GET', at(applicationId));
    const text = await answer.text();

    expect(JSON.parse(text)).toMatchObject({
      ...{ applicationId, source: 'linkOut', receivedAt, expired: false },
      token: expect.stringMatching(/^\[token: length \d+, sha256 [0-9a-f]{8}, holds % and \+\]$/),
      expiresAt: new Date(Date.parse(receivedAt) + 180 * DAY_MS).toISOString(),
    });
    expect(text + logs.text()).not.toContain(token);
    expect((await call('GET', at(newApplication()))).status).toBe(404);
  });

  it('are bound when a signal is sent: the one that counts then, and none lies in the queue', async () => {
    const { put, send, stored, startWorker, until, seek } = await setup({ workers: 0 });
    const [applicationId, first, second] = [newApplication(), newToken(), newToken()];
    await put(applicationId, { token: first, source: 'linkOut', receivedAt: ago(2) });

    const { signalId } = await send(named(applicationId));
    await put(applicationId, { token: second, source: 'linkOut', receivedAt: ago(1) });
    const waiting = await stored(signalId);
    await startWorker();
    const record = await until(signalId, 'delivered');

    expect(seek.inputs()).toEqual([buildSignal({ token: second })]);
    expect(record.attempts).toMatchObject([{ tokenUsed: { source: 'linkOut', expired: false } }]);
    for (const token of [first, second]) {
      expect(waiting + (await stored(signalId))).not.toContain(token);
    }
  });

  it('go with statuses of the ATS’s own, whose workflow comes along', async () => {
    const { put, send, call, until, seek } = await setup();
    const [applicationId, token] = [newApplication(), newToken()];
    const workflow = { steps: ['Applied', { label: 'Hired', placed: true }] };
    const signal = (status: string) => ({
      ...{ typeCode: 'ApplicationStatusUpdate', applicationId, workflow },
      current: { status, timestamp: '2026-03-01T10:00:00.000Z' },
    });
    await put(applicationId, { token, source: 'linkOut' });

    await until((await send(signal('Hired'))).signalId, 'delivered');
    const wrong = await call('POST', '/signals', signal('Hire'));

    expect(seek.inputs()).toEqual([
      {
        ...{ typeCode: 'ApplicationStatusUpdate', token },
        current: {
          status: { label: 'Hired', index: 2, total: 2 },
          ...{ success: true, timestamp: '2026-03-01T10:00:00.000Z' },
        },
      },
    ]);
    expect([wrong.status, await wrong.json()]).toMatchObject([
      422,
      { invalidFields: { '/current/status': expect.stringContaining('Applied, Hired') } },
    ]);
  });

  it('are looked up again at every attempt', async () => {
    const { put, send, until, sentTokens, seek } = await setup();
    const [applicationId, first, second] = [newApplication(), newToken(), newToken()];
    await put(applicationId, { token: first, source: 'linkOut' });
    seek.answerWith(async (_, number) => {
      if (number === 1) await put(applicationId, { token: second, source: 'applyWithSeek' });
      return number === 1 ? refused('INTERNAL_SERVER_ERROR') : undefined;
    });

    await until((await send(named(applicationId))).signalId, 'delivered');

    expect(sentTokens()).toEqual([first, second]);
  });

  it('are not needed by an application that did not come by SEEK: it is skipped, and says so', async () => {
    const { send, until, seek, status, startWorker } = await setup({ workers: 0 });
    const { metrics } = await startWorker();
    const signal = named(newApplication());

    const { signalId } = await send(signal);

    expect(await until(signalId, 'skipped')).toMatchObject({
      reason: 'no-token',
      attempts: [{ outcome: 'skipped', reason: 'no-token' }],
    });
    expect(seek.requests).toEqual([]);
    expect((await status()).counts.dead).toBe(0);
    const counted = await waitFor(async () => /skipped_total\{.*/.exec(await metrics.scrape()));
    expect(counted[0]).toBe('skipped_total{reason="no-token"} 1');
    expect(await metrics.scrape()).not.toMatch(/delivered_total\{/);
  });

  it.each([
    ['', { KEEP_DELIVERED_COUNT: '100' }],
    [', though nothing is kept of it but that it was skipped', { KEEP_DELIVERED_COUNT: '1' }],
  ])('that came too late go with their signal when it is sent once more%s', async (_, env) => {
    const { put, send, until, find, sentTokens, backend } = await setup({ env });
    const [applicationId, token] = [newApplication(), newToken()];
    const signal = named(applicationId);
    const { signalId } = await send(signal);
    await until(signalId, 'skipped');
    await send(signal);
    await until(signalId, 'skipped');
    await waitFor(() => backend.bookkeeping.findSkipRecord(signalId));
    await until((await send(named(newApplication()))).signalId, 'skipped');

    await put(applicationId, { token, source: 'linkOut' });
    const again = await send(signal);

    expect(again).toEqual({ signalId, duplicate: false, state: 'waiting' });
    await waitFor(() => sentTokens().includes(token));
    await waitFor(async () => (await find(signalId))?.state !== 'skipped');
    expect(await send(signal)).toMatchObject({ duplicate: true, state: 'delivered' });
    expect(sentTokens()).toEqual([token]);
  });

  it('that came too late go with their signal, too, where another had it just reopened', async () => {
    const { put, send, until, startWorker, sentTokens, backend } = await setup({ workers: 0 });
    const [applicationId, token] = [newApplication(), newToken()];
    const worker = await startWorker();
    const { signalId } = await send(named(applicationId));
    await until(signalId, 'skipped');
    await worker.close();
    await put(applicationId, { token, source: 'linkOut' });
    const { bookkeeping } = backend;
    const outrun = {
      ...bookkeeping,
      reopen: async (...given: Parameters<typeof bookkeeping.reopen>) => {
        await bookkeeping.reopen(...given);
        return false;
      },
    };
    const { accept } = createSignalQueue({
      ...{ backend: { ...backend, bookkeeping: outrun }, lookup: createLookup(backend) },
      ...{ cipher: createTokenCipher([]), dedupeWindowMs: DAY_MS },
    });

    const answers = await accept([
      { signalId, contentId: signalId, signal: named(applicationId), from: 'ats' },
    ]);
    await startWorker();
    await until(signalId, 'delivered');

    expect(answers).toEqual([{ kind: 'accepted', signalId, duplicate: false, state: 'waiting' }]);
    expect(sentTokens()).toEqual([token]);
  });

  it('that came too late go with all the signals of a batch, whatever is kept of those', async () => {
    const { put, sendAll, status, backend, sentTokens } = await setup({
      ...{ env: { KEEP_DELIVERED_COUNT: '1' }, workers: 2 },
    });
    const applications = Array.from({ length: 60 }, () => ({
      ...{ applicationId: newApplication(), token: newToken() },
    }));
    const signals = applications.map(({ applicationId }) => named(applicationId));
    const atRest = () =>
      waitFor(async () => {
        const { waiting, active } = (await status()).counts;
        return waiting + active === 0 && (await backend.bookkeeping.oldestUnsent(1)).length === 0;
      });

    await sendAll(signals);
    await atRest();
    await sendAll(signals);
    await atRest();
    for (const one of applications)
      await put(one.applicationId, { ...one, applicationId: undefined, source: 'linkOut' });
    await sendAll(signals);
    await atRest();

    expect(sentTokens().sort()).toEqual(applications.map(({ token }) => token).sort());
  });

  it('past their life are sent all the same, and that is told', async () => {
    const { put, send, until, sentTokens } = await setup();
    const [applicationId, token] = [newApplication(), newToken()];
    await put(applicationId, { token, source: 'linkOut', receivedAt: ago(181) });

    const { attempts } = await until((await send(named(applicationId))).signalId, 'delivered');

    expect(attempts).toMatchObject([{ tokenUsed: { expired: true } }]);
    expect(sentTokens()).toEqual([token]);
  });

  it('past their life are skipped where that is wanted', async () => {
    const { put, send, until, seek } = await setup({ env: { EXPIRED_TOKENS: 'skip' } });
    const applicationId = newApplication();
    await put(applicationId, { token: newToken(), source: 'linkOut', receivedAt: ago(181) });

    const { signalId } = await send(named(applicationId));

    expect(await until(signalId, 'skipped')).toMatchObject({ reason: 'token-expired' });
    expect(seek.requests).toEqual([]);
  });

  it('past their life give way, where they are not wanted, to any that still live', async () => {
    const { put, send, until, sentTokens } = await setup({ env: { EXPIRED_TOKENS: 'skip' } });
    const [applicationId, living] = [newApplication(), newToken()];
    await put(applicationId, { token: newToken(), source: 'applyWithSeek', receivedAt: ago(181) });
    await put(applicationId, { token: newToken(), source: 'linkOut', receivedAt: ago(182) });
    await put(applicationId, { token: living, source: 'linkOut', receivedAt: ago(3) });

    await until((await send(named(applicationId))).signalId, 'delivered');

    expect(sentTokens()).toEqual([living]);
  });

  it('of another application are taken with a warning, by all who send them', async () => {
    const { put, logs } = await setup({ workers: 0 });
    const [one, other, token] = [newApplication(), newApplication(), newToken()];
    const recording = { token, source: 'linkOut' };

    const answers = [];
    for (const applicationId of [one, one, other])
      answers.push(await put(applicationId, recording));

    expect(answers.map(({ status }) => status)).toEqual([204, 204, 204]);
    expect(answers.map(({ warning }) => warning?.slice(0, 5))).toEqual([
      undefined,
      undefined,
      '299 -',
    ]);
    expect(logs.lines()).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        msg: 'token.shared',
        applicationId: other,
        sharedWith: one,
      }),
    );
  });

  it.each([
    [{}, { '/token': 'Is required', '/source': 'Expected linkOut or applyWithSeek' }],
    [
      { token: ' t', source: 'ad', receivedAt: 'now', applicationId: 'x' },
      { '/applicationId': 'Unknown field' },
    ],
    [
      { token: ' t', source: 'linkOut', receivedAt: '2026-01-01', more: 1 },
      {
        '/token': 'Must not begin or end with white space',
        '/receivedAt': expect.stringContaining('RFC 3339'),
        '/more': 'Unknown field',
      },
    ],
    [
      { token: 't', source: 'linkOut', receivedAt: ago(-2) },
      { '/receivedAt': 'Must not be more than 24 hours in the future' },
    ],
  ])('are refused with every problem at once: %j', async (body, invalidFields) => {
    const { put } = await setup({ workers: 0 });

    const { status, text } = await put(newApplication(), body);

    expect([status, JSON.parse(text)]).toEqual([422, expect.objectContaining({ invalidFields })]);
  });

  it('that are about to be lost are listed, the first to expire first', async () => {
    const { put, get } = await setup({ workers: 0 });
    const [soon, sooner, later, gone] = Array.from({ length: 4 }, newApplication);
    for (const [applicationId = '', days] of [
      [soon, 170],
      [sooner, 175],
      [later, 100],
      [gone, 185],
    ] as const) {
      await put(applicationId, { token: newToken(), source: 'linkOut', receivedAt: ago(days) });
    }

    type Page = { applications: { applicationId: string }[] };
    const { applications } = await get<Page>('/applications/expiring?within=14d');
    const ours = applications.map((each) => each.applicationId);

    expect(ours.filter((id) => [soon, sooner, later, gone].includes(id))).toEqual([sooner, soon]);
  });

  it('are not listed by a query that is wrong, with every problem at once', async () => {
    const { call } = await setup({ workers: 0 });

    const answer = await call('GET', '/applications/expiring?within=soon&limit=1001&by=x');

    expect(answer.status).toBe(422);
    expect(await answer.json()).toEqual({
      message: 'Filter validation failed',
      invalidFields: {
        '/within': 'Expected a duration, such as 14d, 12h or 30m',
        '/limit': 'Expected at most 1000',
        '/by': 'Unknown field',
      },
    });
  });

  describe('of an application that is erased', () => {
    it('go, and what waits for them is skipped', async () => {
      const { put, send, erase, call, find, stored, startWorker, until, seek } = await setup({
        workers: 0,
      });
      const [applicationId, token] = [newApplication(), newToken()];
      await put(applicationId, { token, source: 'linkOut' });
      const byName = await send(named(applicationId));
      const byToken = await send(buildApplicationComplete({ token }));
      const other = await send(buildApplicationComplete({ token: newToken() }));

      expect(await erase(applicationId)).toBe(204);

      for (const { signalId } of [byName, byToken]) {
        expect(await find(signalId)).toMatchObject({
          state: 'skipped',
          reason: 'application-erased',
        });
        expect(await stored(signalId)).not.toContain(token);
      }
      expect((await call('GET', at(applicationId))).status).toBe(404);
      const late = await send(named(applicationId), { 'idempotency-key': 'late' });
      await startWorker();
      await until(other.signalId, 'delivered');
      expect(await until(late.signalId, 'skipped')).toMatchObject({ reason: 'application-erased' });
      expect(seek.requests).toHaveLength(1);
    });

    it('go from dead letters and from delivered signals, too', async () => {
      const { put, send, erase, find, stored, until, untilBuried, seek } = await setup();
      const [applicationId, token] = [newApplication(), newToken()];
      await put(applicationId, { token, source: 'linkOut' });
      const delivered = await send(buildApplicationComplete({ token }));
      await until(delivered.signalId, 'delivered');
      seek.answerWith(() => refused('FORBIDDEN'));
      const dead = await send(named(applicationId));
      await untilBuried(dead.signalId);

      expect(await erase(applicationId)).toBe(204);

      expect(await find(dead.signalId)).toMatchObject({ state: 'skipped' });
      expect(await stored(dead.signalId)).not.toContain(applicationId);
      expect(await stored(delivered.signalId)).not.toContain(token);
    });

    it.each([
      ['skipped when it comes back', () => refused('INTERNAL_SERVER_ERROR'), 'skipped'],
      ['skipped when SEEK refuses it for good', () => refused('FORBIDDEN'), 'skipped'],
      ['told to be delivered when it was', delivered, 'delivered'],
    ])('are waited for where one is being sent: it is %s', async (_, answer, state) => {
      const { put, send, erase, call, stored, seek } = await setup({
        env: { RETRY_BASE_MS: '60000', RETRY_MAX_MS: '60000' },
      });
      const [applicationId, token] = [newApplication(), newToken()];
      await put(applicationId, { token, source: 'linkOut' });
      let answerNow = (): void => {};
      const asked = new Promise<void>((resolve) => {
        answerNow = resolve;
      });
      seek.answerWith([after(asked, answer())]);
      const signal = buildApplicationComplete({ token });
      const { signalId } = await send(signal);
      await waitFor(() => seek.requests.length === 1);

      const erasing = erase(applicationId);
      await waitFor(async () => (await call('GET', at(applicationId))).status === 404);
      answerNow();

      expect(await erasing).toBe(204);
      expect(await stored(signalId)).not.toContain(token);
      expect(await send(signal)).toMatchObject({ duplicate: true, state });
      expect(seek.requests).toHaveLength(1);
    });

    it('are found in signals again where the first try broke off', async () => {
      const { put, send, erase, find, stored, backend } = await setup({ workers: 0 });
      const [applicationId, token] = [newApplication(), newToken()];
      await put(applicationId, { token, source: 'linkOut' });
      const { signalId } = await send(buildApplicationComplete({ token }));
      const { tokens } = registryUnder(backend);
      await tokens.erase(applicationId);
      await put(applicationId, { token: newToken(), source: 'linkOut' });

      expect(await erase(applicationId)).toBe(204);

      expect(await find(signalId)).toMatchObject({ reason: 'application-erased' });
      expect(await stored(signalId)).not.toContain(token);
    });

    it('go at once where many ask for it, and it is told so', async () => {
      const { put, send, erase, find, redrive, until, startWorker, untilBuried, seek } =
        await setup({
          workers: 0,
        });
      const [applicationId, token] = [newApplication(), newToken()];
      await put(applicationId, { token, source: 'linkOut' });
      seek.answerWith(() => refused('FORBIDDEN'));
      const worker = await startWorker();
      const dead = await send(buildApplicationComplete({ token }));
      await untilBuried(dead.signalId);
      await worker.close();
      const waiting = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          send(named(applicationId), {
            'idempotency-key': `${encodeURIComponent(applicationId)}-${n}`,
          }),
        ),
      );

      expect(await Promise.all([1, 2, 3].map(() => erase(applicationId)))).toEqual([204, 204, 204]);

      for (const { signalId } of [dead, ...waiting]) {
        expect(await find(signalId)).toMatchObject({ state: 'skipped' });
      }
      expect([await redrive(dead.signalId), await until(dead.signalId, 'skipped')]).toMatchObject([
        ...[404, { reason: expect.stringContaining('application-erased') }],
      ]);
    });

    it('leave alone what another application has by now', async () => {
      const { put, send, erase, find } = await setup({ workers: 0 });
      const [draft, final, token] = [newApplication(), newApplication(), newToken()];
      await put(draft, { token, source: 'linkOut' });
      await erase(draft);
      await put(final, { token, source: 'linkOut' });
      const { signalId } = await send(buildApplicationComplete({ token }));

      await erase(draft);

      expect(await find(signalId)).toMatchObject({ state: 'waiting' });
    });

    it('stay erased where they are recorded late', async () => {
      const { put, erase, call } = await setup({ workers: 0 });
      const [applicationId, token] = [newApplication(), newToken()];
      await erase(applicationId);

      const late = await put(applicationId, { token, source: 'linkOut', receivedAt: ago(1) });

      expect(late).toMatchObject({ status: 204, warning: expect.stringContaining('erased') });
      expect((await call('GET', at(applicationId))).status).toBe(404);
    });

    it('are nobody’s any more', async () => {
      const { put, erase } = await setup({ workers: 0 });
      const [first, second, third] = [newApplication(), newApplication(), newApplication()];
      const token = newToken();
      await put(first, { token, source: 'linkOut' });

      await erase(second);
      expect((await put(third, { token, source: 'linkOut' })).warning).not.toBeNull();
      await erase(first);

      expect((await put(second, { token, source: 'linkOut' })).warning).toBeNull();
    });

    it('may be recorded anew', async () => {
      const { put, send, erase, until, sentTokens } = await setup();
      const [applicationId, token] = [newApplication(), newToken()];
      await erase(applicationId);
      await put(applicationId, { token, source: 'linkOut' });

      await until((await send(named(applicationId))).signalId, 'delivered');

      expect(sentTokens()).toEqual([token]);
    });
  });

  describe('with keys to seal them', () => {
    const [oldKey, newerKey] = [newKey(), newKey()];

    const expectSealed = async (
      subject: Dispatcher & { stored: (id: string) => Promise<string> },
      id: string,
      token: string,
    ) => {
      const text = await subject.stored(id);
      expect(text).toContain('v1.');
      expect(text).not.toContain(token);
    };

    it('lie nowhere in the clear: not in a job, not in a letter, not in the registry', async () => {
      const subject = await setup({ env: { TOKEN_ENCRYPTION_KEYS: oldKey }, workers: 0 });
      const { put, send, startWorker, untilBuried, redrive, until, sentTokens, backend, seek } =
        subject;
      const [direct, recorded, applicationId] = [newToken(), newToken(), newApplication()];
      await put(applicationId, { token: recorded, source: 'linkOut' });
      const signal = buildApplicationComplete({ token: direct });
      const { signalId } = await send(signal);
      await expectSealed(subject, signalId, direct);
      expect(await backend.tokens.read(applicationId)).not.toContain(recorded);

      seek.answerWith([refused('FORBIDDEN')]);
      await startWorker();
      await untilBuried(signalId);
      await expectSealed(subject, signalId, direct);
      await redrive(signalId);
      await until(signalId, 'delivered');
      await until((await send(named(applicationId))).signalId, 'delivered');

      expect(sentTokens()).toEqual([direct, direct, recorded]);
      expect(await send(signal)).toMatchObject({ signalId, duplicate: true });
    });

    it('are sealed anew, wherever they lie, so that no other key is needed', async () => {
      const {
        put,
        send,
        startWorker,
        untilBuried,
        until,
        redrive,
        backend,
        seek,
        stored,
        sentTokens,
      } = await setup({ env: { TOKEN_ENCRYPTION_KEYS: oldKey }, workers: 0 });
      const under = (...keys: string[]) => registryUnder(backend, ...keys);
      const reencrypt = (...keys: string[]) => createReencrypt({ backend, ...under(...keys) })();
      // Of applications that other tests have left.
      await reencrypt(newerKey, oldKey);
      const direct = (token: string) => send(buildApplicationComplete({ token }));
      const [waits, dies, arrives] = [newToken(), newToken(), newToken()];
      const [kept, clear] = [newToken(), newToken()];
      const [one, other] = [newApplication(), newApplication()];
      await put(one, { token: kept, source: 'linkOut' });
      const receivedAt = ago(1);
      await under().tokens.record(other, { token: clear, source: 'linkOut', receivedAt });
      seek.answerWith([delivered(), refused('FORBIDDEN')]);
      const worker = await startWorker();
      const arrived = await direct(arrives);
      await until(arrived.signalId, 'delivered');
      const dead = await direct(dies);
      await untilBuried(dead.signalId);
      await worker.close();
      const waiting = await direct(waits);

      expect(await reencrypt(newerKey)).toEqual({ reencrypted: 1, undecryptable: 4, done: true });
      expect(await reencrypt(newerKey, oldKey)).toEqual({
        reencrypted: 4,
        undecryptable: 0,
        done: true,
      });
      expect(await reencrypt(newerKey, oldKey)).toEqual({
        reencrypted: 0,
        undecryptable: 0,
        done: true,
      });

      const { cipher } = under(newerKey);
      for (const { signalId } of [waiting, dead, arrived]) {
        const [ciphertext = ''] = /v1\.\w+\.[\w-]+/.exec(await stored(signalId)) ?? [];
        expect([waits, dies, arrives]).toContain(cipher.decrypt(ciphertext, signalId));
      }
      await startWorker({ TOKEN_ENCRYPTION_KEYS: newerKey });
      await redrive(dead.signalId);
      for (const { signalId } of [
        waiting,
        dead,
        await send(named(one)),
        await send(named(other)),
      ]) {
        await until(signalId, 'delivered');
      }
      expect(sentTokens().slice(2).sort()).toEqual([waits, dies, kept, clear].sort());
    });

    it('are sealed anew while workers have them in hand', async () => {
      const { send, startWorker, until, backend, seek, stored } = await setup({
        env: { TOKEN_ENCRYPTION_KEYS: oldKey },
        workers: 0,
      });
      const token = newToken();
      let answerNow = (): void => {};
      const asked = new Promise<void>((resolve) => {
        answerNow = resolve;
      });
      seek.answerWith([after(asked, refused('INTERNAL_SERVER_ERROR'))]);
      const { close } = await startWorker({ RETRY_BASE_MS: '60000', RETRY_MAX_MS: '60000' });
      const { signalId } = await send(buildApplicationComplete({ token }));
      await waitFor(() => seek.requests.length === 1);

      const { cipher, tokens } = registryUnder(backend, newerKey, oldKey);
      const pause = async () => {
        answerNow();
        await until(signalId, 'retrying');
      };
      const reencrypted = await createReencrypt({ backend, cipher, tokens, pause })();
      await close();

      expect(reencrypted).toMatchObject({ undecryptable: 0, done: true });
      const { cipher: newer } = registryUnder(backend, newerKey);
      const [ciphertext = ''] = /v1\.\w+\.[\w-]+/.exec(await stored(signalId)) ?? [];
      expect(newer.decrypt(ciphertext, signalId)).toBe(token);
    });

    it('are not called sealed anew where a worker never lets go, or a newer version wrote', async () => {
      const { send, startWorker, backend, seek } = await setup({
        ...{ env: { TOKEN_ENCRYPTION_KEYS: oldKey }, workers: 0 },
        answers: () => hang(),
      });
      await startWorker();
      await send(buildApplicationComplete({ token: newToken() }));
      await waitFor(() => seek.requests.length === 1);
      const { cipher, tokens } = registryUnder(backend, newerKey, oldKey);
      const old = createTokenCipher([Buffer.from(oldKey, 'base64')]).encrypt('t', 'newer');
      await (await backend.queue(SIGNALS)).add(
        ...['signal', { version: 5, kept: { elsewhere: old } }, { jobId: 'newer', delay: 60_000 }],
      );

      const reencrypted = await createReencrypt({
        backend,
        cipher,
        tokens,
        pause: async () => {},
      })();

      expect(reencrypted).toMatchObject({ undecryptable: 1, done: false });
    });

    it('are opened after the keys were changed, and wait for a worker that has theirs', async () => {
      const { put, send, startWorker, until, find, sentTokens, seek } = await setup({
        ...{ env: { TOKEN_ENCRYPTION_KEYS: oldKey }, workers: 0 },
      });
      const [direct, recorded, applicationId] = [newToken(), newToken(), newApplication()];
      await put(applicationId, { token: recorded, source: 'linkOut' });
      const ids = [
        (await send(buildApplicationComplete({ token: direct }))).signalId,
        (await send(named(applicationId))).signalId,
      ];

      const without = await startWorker({ TOKEN_ENCRYPTION_KEYS: newerKey });
      for (const id of ids) await until(id, 'retrying');
      expect(await find(ids[0] ?? '')).toMatchObject({
        attempts: [],
        lastDeferral: {
          code: 'TOKEN_KEY',
          reason: 'No key in TOKEN_ENCRYPTION_KEYS decrypts the seek token',
        },
      });
      expect(seek.requests).toEqual([]);
      await without.close();
      await startWorker({ TOKEN_ENCRYPTION_KEYS: `${newerKey},${oldKey}` });
      for (const id of ids) await until(id, 'delivered');

      expect(sentTokens().sort()).toEqual([direct, recorded].sort());
    });
  });
});
