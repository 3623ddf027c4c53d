import { buildSignal } from '../support/buildSignal.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { refused } from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';
import { ago, DAY_MS, named, newApplication, tokenPath, useSeekTokens } from './setupSeekTokens.ts';

describe.each(PLATFORMS)('seek tokens on $name', ({ start }) => {
  const { setup } = useSeekTokens(start);

  it('recorded → are shown masked, with their source and expiry', async () => {
    const { put, call, logs } = await setup({ workers: 0 });
    const [applicationId, token] = [newApplication(), newToken()];
    const receivedAt = ago(10);

    expect(await put(applicationId, { token, source: 'linkOut', receivedAt })).toEqual({
      status: 204,
      warning: null,
      text: '',
    });
    const answer = await call('GET', tokenPath(applicationId));
    const text = await answer.text();

    expect(JSON.parse(text)).toMatchObject({
      applicationId,
      source: 'linkOut',
      receivedAt,
      expired: false,
      token: expect.stringMatching(/^\[token: length \d+, sha256 [0-9a-f]{8}, holds % and \+\]$/),
      expiresAt: new Date(Date.parse(receivedAt) + 180 * DAY_MS).toISOString(),
    });
    expect(text + logs.text()).not.toContain(token);
    expect((await call('GET', tokenPath(newApplication()))).status).toBe(404);
  });

  it('replaced while a signal waits → the current one is sent, and the queue holds none', async () => {
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

  it('of a signal with its own workflow → are sent with the statuses that SEEK knows', async () => {
    const { put, send, call, until, seek } = await setup();
    const [applicationId, token] = [newApplication(), newToken()];
    const workflow = { steps: ['Applied', { label: 'Hired', placed: true }] };
    const signal = (status: string) => ({
      typeCode: 'ApplicationStatusUpdate',
      applicationId,
      workflow,
      current: { status, timestamp: '2026-03-01T10:00:00.000Z' },
    });
    await put(applicationId, { token, source: 'linkOut' });

    await until((await send(signal('Hired'))).signalId, 'delivered');
    const wrong = await call('POST', '/signals', signal('Hire'));

    expect(seek.inputs()).toEqual([
      {
        typeCode: 'ApplicationStatusUpdate',
        token,
        current: {
          status: { label: 'Hired', index: 2, total: 2 },
          success: true,
          timestamp: '2026-03-01T10:00:00.000Z',
        },
      },
    ]);
    expect([wrong.status, await wrong.json()]).toMatchObject([
      422,
      { invalidFields: { '/current/status': expect.stringContaining('Applied, Hired') } },
    ]);
  });

  it('replaced between two attempts → the second attempt sends the new one', async () => {
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

  it('that have expired → are sent, and the attempt records it', async () => {
    const { put, send, until, sentTokens } = await setup();
    const [applicationId, token] = [newApplication(), newToken()];
    await put(applicationId, { token, source: 'linkOut', receivedAt: ago(181) });

    const { attempts } = await until((await send(named(applicationId))).signalId, 'delivered');

    expect(attempts).toMatchObject([{ tokenUsed: { expired: true } }]);
    expect(sentTokens()).toEqual([token]);
  });

  it('that have expired, with EXPIRED_TOKENS=skip → the signal is skipped', async () => {
    const { put, send, until, seek } = await setup({ env: { EXPIRED_TOKENS: 'skip' } });
    const applicationId = newApplication();
    await put(applicationId, { token: newToken(), source: 'linkOut', receivedAt: ago(181) });

    const { signalId } = await send(named(applicationId));

    expect(await until(signalId, 'skipped')).toMatchObject({ reason: 'token-expired' });
    expect(seek.requests).toEqual([]);
  });

  it('of which one is valid, with EXPIRED_TOKENS=skip → the valid one is sent', async () => {
    const { put, send, until, sentTokens } = await setup({ env: { EXPIRED_TOKENS: 'skip' } });
    const [applicationId, valid] = [newApplication(), newToken()];
    await put(applicationId, { token: newToken(), source: 'applyWithSeek', receivedAt: ago(181) });
    await put(applicationId, { token: newToken(), source: 'linkOut', receivedAt: ago(182) });
    await put(applicationId, { token: valid, source: 'linkOut', receivedAt: ago(3) });

    await until((await send(named(applicationId))).signalId, 'delivered');

    expect(sentTokens()).toEqual([valid]);
  });

  it('recorded for two applications → are accepted with a warning', async () => {
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
  ])('with invalid fields → are rejected with every problem: %j', async (body, invalidFields) => {
    const { put } = await setup({ workers: 0 });

    const { status, text } = await put(newApplication(), body);

    expect([status, JSON.parse(text)]).toEqual([422, expect.objectContaining({ invalidFields })]);
  });

  it('that expire within 14 days → are listed, the first to expire first', async () => {
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

  it('listed with an invalid query → 422 with every problem', async () => {
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
});
