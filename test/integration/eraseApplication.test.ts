import { buildApplicationComplete } from '../support/buildSignal.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { after, delivered, refused } from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';
import {
  ago,
  named,
  newApplication,
  registryWithKeys,
  tokenPath,
  useSeekTokens,
} from './setupSeekTokens.ts';

describe.each(PLATFORMS)('an erasure on $name', ({ start }) => {
  const { setup } = useSeekTokens(start);

  it('removes the tokens and skips waiting signals', async () => {
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
    expect((await call('GET', tokenPath(applicationId))).status).toBe(404);
    const late = await send(named(applicationId), { 'idempotency-key': 'late' });
    await startWorker();
    await until(other.signalId, 'delivered');
    expect(await until(late.signalId, 'skipped')).toMatchObject({ reason: 'application-erased' });
    expect(seek.requests).toHaveLength(1);
  });

  it('removes the tokens from dead letters and delivered signals', async () => {
    const { put, send, erase, find, stored, until, untilDeadLettered, seek } = await setup();
    const [applicationId, token] = [newApplication(), newToken()];
    await put(applicationId, { token, source: 'linkOut' });
    const delivered = await send(buildApplicationComplete({ token }));
    await until(delivered.signalId, 'delivered');
    seek.answerWith(() => refused('FORBIDDEN'));
    const dead = await send(named(applicationId));
    await untilDeadLettered(dead.signalId);

    expect(await erase(applicationId)).toBe(204);

    expect(await find(dead.signalId)).toMatchObject({ state: 'skipped' });
    expect(await stored(dead.signalId)).not.toContain(applicationId);
    expect(await stored(delivered.signalId)).not.toContain(token);
  });

  it.each([
    ['a retry → it is skipped', () => refused('INTERNAL_SERVER_ERROR'), 'skipped'],
    ['a final rejection → it is skipped', () => refused('FORBIDDEN'), 'skipped'],
    ['a delivery → it stays delivered', delivered, 'delivered'],
  ])('waits for a signal in flight, which ends with %s', async (_, answer, state) => {
    const { put, send, erase, call, stored, seek } = await setup({
      env: { RETRY_BASE_MS: '60000', RETRY_MAX_MS: '60000' },
    });
    const [applicationId, token] = [newApplication(), newToken()];
    await put(applicationId, { token, source: 'linkOut' });
    let releaseAnswer = (): void => {};
    const released = new Promise<void>((resolve) => {
      releaseAnswer = resolve;
    });
    seek.answerWith([after(released, answer())]);
    const signal = buildApplicationComplete({ token });
    const { signalId } = await send(signal);
    await waitFor(() => seek.requests.length === 1);

    const erasing = erase(applicationId);
    await waitFor(async () => (await call('GET', tokenPath(applicationId))).status === 404);
    releaseAnswer();

    expect(await erasing).toBe(204);
    expect(await stored(signalId)).not.toContain(token);
    expect(await send(signal)).toMatchObject({ duplicate: true, state });
    expect(seek.requests).toHaveLength(1);
  });

  it('repeated after it was interrupted → still finds the signals with erased tokens', async () => {
    const { put, send, erase, find, stored, backend } = await setup({ workers: 0 });
    const [applicationId, token] = [newApplication(), newToken()];
    await put(applicationId, { token, source: 'linkOut' });
    const { signalId } = await send(buildApplicationComplete({ token }));
    const { tokens } = registryWithKeys(backend);
    await tokens.erase(applicationId);
    await put(applicationId, { token: newToken(), source: 'linkOut' });

    expect(await erase(applicationId)).toBe(204);

    expect(await find(signalId)).toMatchObject({ reason: 'application-erased' });
    expect(await stored(signalId)).not.toContain(token);
  });

  it('requested three times at once → all succeed, and every signal is skipped', async () => {
    const { put, send, erase, find, redrive, until, startWorker, untilDeadLettered, seek } =
      await setup({
        workers: 0,
      });
    const [applicationId, token] = [newApplication(), newToken()];
    await put(applicationId, { token, source: 'linkOut' });
    seek.answerWith(() => refused('FORBIDDEN'));
    const worker = await startWorker();
    const dead = await send(buildApplicationComplete({ token }));
    await untilDeadLettered(dead.signalId);
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
      404,
      { reason: expect.stringContaining('application-erased') },
    ]);
  });

  it('of an application whose token now belongs to another → leaves the signals of the other', async () => {
    const { put, send, erase, find } = await setup({ workers: 0 });
    const [draft, final, token] = [newApplication(), newApplication(), newToken()];
    await put(draft, { token, source: 'linkOut' });
    await erase(draft);
    await put(final, { token, source: 'linkOut' });
    const { signalId } = await send(buildApplicationComplete({ token }));

    await erase(draft);

    expect(await find(signalId)).toMatchObject({ state: 'waiting' });
  });

  it('followed by a token received before it → the token is not recorded', async () => {
    const { put, erase, call } = await setup({ workers: 0 });
    const [applicationId, token] = [newApplication(), newToken()];
    await erase(applicationId);

    const late = await put(applicationId, { token, source: 'linkOut', receivedAt: ago(1) });

    expect(late).toMatchObject({ status: 204, warning: expect.stringContaining('erased') });
    expect((await call('GET', tokenPath(applicationId))).status).toBe(404);
  });

  it('releases the tokens → another application can record them without a warning', async () => {
    const { put, erase } = await setup({ workers: 0 });
    const [first, second, third] = [newApplication(), newApplication(), newApplication()];
    const token = newToken();
    await put(first, { token, source: 'linkOut' });

    await erase(second);
    expect((await put(third, { token, source: 'linkOut' })).warning).not.toBeNull();
    await erase(first);

    expect((await put(second, { token, source: 'linkOut' })).warning).toBeNull();
  });

  it('followed by a new recording of a token → the token is sent', async () => {
    const { put, send, erase, until, sentTokens } = await setup();
    const [applicationId, token] = [newApplication(), newToken()];
    await erase(applicationId);
    await put(applicationId, { token, source: 'linkOut' });

    await until((await send(named(applicationId))).signalId, 'delivered');

    expect(sentTokens()).toEqual([token]);
  });
});
