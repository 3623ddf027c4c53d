import { SIGNALS } from '../../src/queue/backend.ts';
import { createTokenCipher } from '../../src/runtime/tokenCipher.ts';
import { createReencrypt } from '../../src/seekTokens/reencrypt.ts';
import { buildApplicationComplete } from '../support/buildSignal.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { after, delivered, hang, refused } from '../support/scriptedSeek.ts';
import { type Dispatcher, newToken } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';
import {
  ago,
  named,
  newApplication,
  newKey,
  registryWithKeys,
  useSeekTokens,
} from './setupSeekTokens.ts';

describe.each(PLATFORMS)('encrypted seek tokens on $name', ({ start }) => {
  const { setup } = useSeekTokens(start);
  const [oldKey, newerKey] = [newKey(), newKey()];

  const expectEncrypted = async (
    dispatcher: Dispatcher & { stored: (id: string) => Promise<string> },
    id: string,
    token: string,
  ) => {
    const text = await dispatcher.stored(id);
    expect(text).toContain('v1.');
    expect(text).not.toContain(token);
  };

  it('are unencrypted nowhere: not in a job, a dead letter or the registry', async () => {
    const subject = await setup({ env: { TOKEN_ENCRYPTION_KEYS: oldKey }, workers: 0 });
    const { put, send, startWorker, untilDeadLettered, redrive, until, sentTokens, backend, seek } =
      subject;
    const [direct, recorded, applicationId] = [newToken(), newToken(), newApplication()];
    await put(applicationId, { token: recorded, source: 'linkOut' });
    const signal = buildApplicationComplete({ token: direct });
    const { signalId } = await send(signal);
    await expectEncrypted(subject, signalId, direct);
    expect(await backend.tokens.read(applicationId)).not.toContain(recorded);

    seek.answerWith([refused('FORBIDDEN')]);
    await startWorker();
    await untilDeadLettered(signalId);
    await expectEncrypted(subject, signalId, direct);
    await redrive(signalId);
    await until(signalId, 'delivered');
    await until((await send(named(applicationId))).signalId, 'delivered');

    expect(sentTokens()).toEqual([direct, direct, recorded]);
    expect(await send(signal)).toMatchObject({ signalId, duplicate: true });
  });

  it('after a re-encryption → need no key but the first', async () => {
    const {
      put,
      send,
      startWorker,
      untilDeadLettered,
      until,
      redrive,
      backend,
      seek,
      stored,
      sentTokens,
    } = await setup({ env: { TOKEN_ENCRYPTION_KEYS: oldKey }, workers: 0 });
    const withKeys = (...keys: string[]) => registryWithKeys(backend, ...keys);
    const reencrypt = (...keys: string[]) => createReencrypt({ backend, ...withKeys(...keys) })();
    // Re-encrypts the applications that other tests left.
    await reencrypt(newerKey, oldKey);
    const direct = (token: string) => send(buildApplicationComplete({ token }));
    const [ofWaiting, ofDead, ofDelivered] = [newToken(), newToken(), newToken()];
    const [encrypted, unencrypted] = [newToken(), newToken()];
    const [one, other] = [newApplication(), newApplication()];
    await put(one, { token: encrypted, source: 'linkOut' });
    const receivedAt = ago(1);
    await withKeys().tokens.record(other, { token: unencrypted, source: 'linkOut', receivedAt });
    seek.answerWith([delivered(), refused('FORBIDDEN')]);
    const worker = await startWorker();
    const delivery = await direct(ofDelivered);
    await until(delivery.signalId, 'delivered');
    const dead = await direct(ofDead);
    await untilDeadLettered(dead.signalId);
    await worker.close();
    const waiting = await direct(ofWaiting);

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

    const { cipher } = withKeys(newerKey);
    for (const { signalId } of [waiting, dead, delivery]) {
      const [ciphertext = ''] = /v1\.\w+\.[\w-]+/.exec(await stored(signalId)) ?? [];
      expect([ofWaiting, ofDead, ofDelivered]).toContain(cipher.decrypt(ciphertext, signalId));
    }
    await startWorker({ TOKEN_ENCRYPTION_KEYS: newerKey });
    await redrive(dead.signalId);
    for (const { signalId } of [waiting, dead, await send(named(one)), await send(named(other))]) {
      await until(signalId, 'delivered');
    }
    expect(sentTokens().slice(2).sort()).toEqual(
      [ofWaiting, ofDead, encrypted, unencrypted].sort(),
    );
  });

  it('of a signal in flight → are re-encrypted once the worker releases it', async () => {
    const { send, startWorker, until, backend, seek, stored } = await setup({
      env: { TOKEN_ENCRYPTION_KEYS: oldKey },
      workers: 0,
    });
    const token = newToken();
    let releaseAnswer = (): void => {};
    const released = new Promise<void>((resolve) => {
      releaseAnswer = resolve;
    });
    seek.answerWith([after(released, refused('INTERNAL_SERVER_ERROR'))]);
    const { close } = await startWorker({ RETRY_BASE_MS: '60000', RETRY_MAX_MS: '60000' });
    const { signalId } = await send(buildApplicationComplete({ token }));
    await waitFor(() => seek.requests.length === 1);

    const { cipher, tokens } = registryWithKeys(backend, newerKey, oldKey);
    const pause = async () => {
      releaseAnswer();
      await until(signalId, 'retrying');
    };
    const reencrypted = await createReencrypt({ backend, cipher, tokens, pause })();
    await close();

    expect(reencrypted).toMatchObject({ undecryptable: 0, done: true });
    const { cipher: newer } = registryWithKeys(backend, newerKey);
    const [ciphertext = ''] = /v1\.\w+\.[\w-]+/.exec(await stored(signalId)) ?? [];
    expect(newer.decrypt(ciphertext, signalId)).toBe(token);
  });

  it('of a signal that stays in flight, or of a newer version → the re-encryption is not done', async () => {
    const { send, startWorker, backend, seek } = await setup({
      env: { TOKEN_ENCRYPTION_KEYS: oldKey },
      workers: 0,
      answers: () => hang(),
    });
    await startWorker();
    await send(buildApplicationComplete({ token: newToken() }));
    await waitFor(() => seek.requests.length === 1);
    const { cipher, tokens } = registryWithKeys(backend, newerKey, oldKey);
    const old = createTokenCipher([Buffer.from(oldKey, 'base64')]).encrypt('t', 'newer');
    await (await backend.queue(SIGNALS)).add(
      'signal',
      { version: 5, elsewhere: { token: old } },
      { jobId: 'newer', delay: 60_000 },
    );

    const reencrypted = await createReencrypt({
      backend,
      cipher,
      tokens,
      pause: async () => {},
    })();

    expect(reencrypted).toMatchObject({ undecryptable: 1, done: false });
  });

  it('without their key → are deferred until a worker has the key', async () => {
    const { put, send, startWorker, until, find, sentTokens, seek } = await setup({
      env: { TOKEN_ENCRYPTION_KEYS: oldKey },
      workers: 0,
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
