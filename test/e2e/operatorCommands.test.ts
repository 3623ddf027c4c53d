import { randomBytes } from 'node:crypto';
import { createProducer } from '../../src/index.ts';
import { refused } from '../support/scriptedSeek.ts';
import { waitFor } from '../support/waitFor.ts';
import { type Deployments, openDeployments, waitUntilDelivered } from './deployment.ts';

let deployments: Deployments;
beforeAll(async () => {
  deployments = await openDeployments();
});
afterEach(() => deployments.closeAll());
afterAll(() => deployments.stop());

describe('the commands for operators, on Redis', () => {
  it('a dead letter → shown by status, show, find and dead-letters, and redriven', async () => {
    const { seek, startApi, startWorker, run } = await deployments.setup({
      answers: () => refused('FORBIDDEN'),
    });
    const { send, find } = await startApi();
    await startWorker();
    const [{ signalId } = { signalId: '' }] = await send([deployments.buildComplete()]);
    await waitFor(async () => JSON.parse((await run('status', '--json')).stdout).counts.dead === 1);

    const [shown, list, deadLetter] = await Promise.all([
      run('show', signalId, '--json'),
      run('dead-letters', 'list', '--json'),
      run('dead-letters', 'show', signalId),
    ]);
    expect(JSON.parse(shown.stdout)).toMatchObject({ signalId, state: 'dead' });
    expect(JSON.parse(list.stdout)).toEqual([expect.objectContaining({ signalId })]);
    expect(deadLetter.stdout).toContain('FORBIDDEN');

    seek.answerWith([]);
    const [counts, filtered] = [
      await run('dead-letters', 'counts'),
      await run('dead-letters', 'list', '--text', 'nothing like it'),
    ];
    expect(counts.stdout).toMatch(/^ *1 +FORBIDDEN +ApplicationComplete/m);
    expect(filtered.stdout).toBe('no dead letters\n');
    expect(await run('find', '--application', 'nobody')).toMatchObject({
      code: 1,
      stdout: 'no signals found\n',
    });
    const [redriven, unknown, none] = [
      await run('dead-letters', 'redrive', signalId),
      await run('show', 'nobody'),
      await run('dead-letters', 'redrive', 'nobody'),
    ];
    await waitUntilDelivered(find, [signalId]);
    expect(redriven).toMatchObject({ code: 0, stdout: 'redriven 1 of 1\n' });
    expect(unknown).toMatchObject({ code: 1, stdout: '' });
    expect(unknown.stderr).toContain('Signal nobody not found');
    expect(none.code).toBe(1);
  });

  it('dead-letters redrive --rate → waits between redrives; SIGINT → stops and reports what it redrove', async () => {
    const { env, seek, startApi, startWorker, run } = await deployments.setup({
      answers: () => refused('FORBIDDEN'),
    });
    const { send } = await startApi();
    await startWorker();
    await send(Array.from({ length: 4 }, deployments.buildComplete));
    await waitFor(async () => JSON.parse((await run('status', '--json')).stdout).counts.dead === 4);
    seek.answerWith([]);

    const args = ['dead-letters', 'redrive', '--rate', '0.001', '--json'];
    const redriving = deployments.commands.start(args, env);
    await waitFor(
      async () => JSON.parse((await run('status', '--json')).stdout).counts.delivered === 1,
    );
    expect(await redriving.end('SIGINT')).toMatchObject({ code: 1 });

    expect(JSON.parse(redriving.written.stdout).redriven).toHaveLength(1);
    expect(redriving.written.stderr).toContain('Interrupted');
    expect(JSON.parse((await run('status', '--json')).stdout).counts).toMatchObject({ dead: 3 });
    expect((await run('dead-letters', 'redrive')).stdout).toBe('redriven 3 of 3\n');
  });

  it('tokens expiring → the applications whose token expires within the given time', async () => {
    const producer = createProducer({ redisUrl: deployments.redis.url });
    deployments.closing.push(producer.close);
    const receivedAt = new Date(Date.now() - 170 * 86_400_000);
    const recording = { token: deployments.createToken(), source: 'linkOut' as const, receivedAt };
    await producer.recordSeekToken({ applicationId: 'about to expire', ...recording });
    const expiring = (...args: string[]) =>
      deployments.commands.run(['tokens', 'expiring', ...args], {
        REDIS_URL: deployments.redis.url,
      });

    const [soon, later] = [await expiring('--json'), await expiring('--within', '9d')];

    expect(JSON.parse(soon.stdout)).toMatchObject([{ applicationId: 'about to expire' }]);
    expect(later).toMatchObject({ code: 0, stdout: 'no token expires by then\n' });
  });

  it('tokens re-encrypt → every token that a key decrypts has the first key, and the rest are counted', async () => {
    const [oldKey, newKey] = [randomBytes(32), randomBytes(32)].map((key) =>
      key.toString('base64'),
    );
    const env = { REDIS_URL: deployments.redis.url, QUEUE_PREFIX: '{re-encrypted}' };
    const producer = createProducer({
      redisUrl: deployments.redis.url,
      queuePrefix: env.QUEUE_PREFIX,
      tokenEncryptionKeys: [oldKey ?? ''],
    });
    deployments.closing.push(producer.close);
    await producer.recordSeekToken({
      applicationId: 'a',
      token: deployments.createToken(),
      source: 'linkOut',
    });
    await producer.enqueue({ typeCode: 'ApplicationComplete', token: deployments.createToken() });
    const reencrypt = (keys: string) =>
      deployments.commands.run(['tokens', 're-encrypt', '--json'], {
        ...env,
        TOKEN_ENCRYPTION_KEYS: keys,
      });

    const [without, withBoth, after] = [
      await reencrypt(`${newKey}`),
      await reencrypt(`${newKey},${oldKey}`),
      await reencrypt(`${newKey}`),
    ];

    expect([without.code, JSON.parse(without.stdout)]).toEqual([
      1,
      { reencrypted: 0, undecryptable: 2, done: true },
    ]);
    expect([withBoth.code, JSON.parse(withBoth.stdout)]).toEqual([
      0,
      { reencrypted: 2, undecryptable: 0, done: true },
    ]);
    expect([after.code, JSON.parse(after.stdout)]).toEqual([
      0,
      { reencrypted: 0, undecryptable: 0, done: true },
    ]);
  });

  it('status while Redis is unreachable → exit code 1 and a message', async () => {
    const started = deployments.commands.start(['status'], { REDIS_URL: 'redis://127.0.0.1:1' });
    deployments.closing.push(async () => started.isRunning() && started.end('SIGKILL'));

    await waitFor(() => !started.isRunning(), { what: 'status to end' });
    expect(await started.exited).toBe(1);
    expect(started.written.stderr).not.toBe('');
  });

  it.each([
    ['an unknown command', ['launch']],
    ['a filter with an invalid date', ['dead-letters', 'list', '--since', 'yesterday']],
    ['a limit that is not a whole number', ['dead-letters', 'list', '--limit', '1.5']],
    ['signal ids together with a filter', ['dead-letters', 'redrive', 'x', '--code', 'FORBIDDEN']],
    ['a discard without a reason', ['dead-letters', 'discard', 'x']],
    ['find without a criterion', ['find']],
    ['find with two criteria', ['find', '--application', 'a', '--position', 'p']],
    ['find with an idempotency key but no sender', ['find', '--idempotency-key', 'k']],
    ['an invalid duration', ['tokens', 'expiring', '--within', 'soon']],
    ['missing encryption keys', ['tokens', 're-encrypt']],
  ])('%s → exit code 2, and nothing on standard output', async (_, args) => {
    const { code, stdout, stderr } = await deployments.commands.run(args, {
      REDIS_URL: deployments.redis.url,
    });

    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).not.toBe('');
  });
});

describe('the output of all processes', () => {
  it('after these tests → contains no token and no secret', () => {
    expect(deployments.commands.output()).toContain('signal.accepted');
    expect(deployments.commands.output()).toContain('signal.deadLettered');
    deployments.expectNoSecretsInOutput();
  });
});
