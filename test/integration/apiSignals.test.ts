import { gzipSync } from 'node:zlib';

import { buildSignal, buildState } from '../support/buildSignal.ts';
import { type Accepted, newToken } from '../support/startDispatcher.ts';
import { complete, OTHER_KEY, useApi } from './apiUnderTest.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const { setup } = useApi();

describe('POST /signals', () => {
  it('valid signal → 202 with its signalId, and the signal is in the queue', async () => {
    const { call, find } = await setup();

    const answer = await call('POST', '/signals', complete());
    const body: Accepted = JSON.parse(await answer.text());

    expect(answer.status).toBe(202);
    expect(body).toEqual({
      signalId: expect.stringMatching(UUID),
      duplicate: false,
      state: 'waiting',
    });
    expect(await find(body.signalId)).toMatchObject({ state: 'waiting', attempts: [] });
  });

  it('index greater than total → accepted with a warning', async () => {
    const { send } = await setup();
    const current = buildState({ status: { label: 'Interview', index: 5, total: 4 } });

    expect(await send(buildSignal({ token: newToken(), current }))).toMatchObject({
      duplicate: false,
      warnings: [expect.stringMatching(/^\/current\/status/)],
    });
  });

  it('signal over MAX_SIGNAL_BYTES → 422 with its size and the limit; in a batch the others are taken', async () => {
    const { call } = await setup();
    const large = { ...complete(), token: 't'.repeat(70_000) };

    const alone = await call('POST', '/signals', large);
    const batch = await call('POST', '/signals/batch', { signals: [large, complete()] });

    const problem = { invalidFields: { '': expect.stringMatching(/70\d{3} bytes.* 65536$/) } };
    expect([alone.status, await alone.json()]).toEqual([422, expect.objectContaining(problem)]);
    expect([batch.status, await batch.json()]).toEqual([
      202,
      { results: [problem, expect.objectContaining({ duplicate: false })] },
    ]);
  });

  it('invalid signal → 422 with every invalid field, and nothing is queued', async () => {
    const { call, status } = await setup();

    const answer = await call('POST', '/signals', {
      typeCode: 'ApplicationStatusUpdate',
      token: ' padded ',
      unknown: 1,
      current: buildState({ status: { label: 'Interview', index: -1, total: 4 } }),
    });
    const text = await answer.text();

    expect(answer.status).toBe(422);
    expect(Object.keys(JSON.parse(text).invalidFields).toSorted()).toEqual([
      '/current/status/index',
      '/token',
      '/unknown',
    ]);
    expect(text).not.toContain('padded');
    expect((await status()).counts.waiting).toBe(0);
  });

  it.each([
    ['text that is not JSON', '{"typeCode":'],
    ['no bytes', ''],
    ['invalid UTF-8', Uint8Array.from([0x22, 0xff, 0x22])],
  ])('body of %s → 400, and the answer does not quote it', async (_, body) => {
    const { post } = await setup();

    const answer = await post('/signals', body);

    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({ message: 'The body is not JSON in UTF-8' });
  });

  it.each(['/signals', '/dead-letters/import'])('compressed body to %s → 415', async (path) => {
    const { post } = await setup();

    const answer = await post(path, Uint8Array.from(gzipSync('{}')), {
      'content-encoding': 'gzip',
    });

    expect(answer.status).toBe(415);
    expect(await answer.json()).toEqual({
      message: 'The body is compressed; send it uncompressed',
    });
  });

  it('invalid UTF-8 within a token → 400 instead of another token', async () => {
    const { post, status } = await setup();
    const head = new TextEncoder().encode('{"typeCode":"ApplicationComplete","token":"a');
    const tail = new TextEncoder().encode('"}');

    const answer = await post('/signals', Uint8Array.from([...head, 0xc3, ...tail]));

    expect(answer.status).toBe(400);
    expect((await status()).counts.waiting).toBe(0);
  });

  it('body over 1 MiB → 413, and the next request is accepted', async () => {
    const { call, send } = await setup();

    const answer = await call('POST', '/signals', complete(), { padding: 'x' });
    const large = await call('POST', '/signals', { token: 'x'.repeat(1024 * 1024) });

    expect([answer.status, large.status]).toEqual([202, 413]);
    expect(await large.json()).toEqual({ message: 'The body is over 1 MiB' });
    await send(complete());
  });

  it('same Idempotency-Key with another API key → another signal; with other content → 409', async () => {
    const { call, send } = await setup();
    const own = { 'idempotency-key': 'order-1' };
    const theirs = { ...own, authorization: `Bearer ${OTHER_KEY}` };
    const signal = complete();

    const first = await send(signal, own);
    const foreign = await send(complete(), theirs);
    const again = await send(signal, own);
    const conflict = await call('POST', '/signals', complete(), own);

    expect(foreign).toMatchObject({ duplicate: false });
    expect(foreign.signalId).not.toBe(first.signalId);
    expect(again).toMatchObject({ signalId: first.signalId, duplicate: true });
    expect(conflict.status).toBe(409);
    expect(await conflict.json()).toEqual({
      message: expect.any(String),
      signalId: first.signalId,
    });
  });

  it.each(['', 'x'.repeat(256), 'é'])('Idempotency-Key %j → 400', async (key) => {
    const { call } = await setup();

    const answer = await call('POST', '/signals', complete(), { 'idempotency-key': key });

    expect(answer.status).toBe(400);
  });
});

describe('POST /signals/batch', () => {
  it('valid and invalid signals → one result each, in order, and the valid ones are queued', async () => {
    const { call, find } = await setup();
    const good = complete();

    const answer = await call('POST', '/signals/batch', {
      signals: [good, { typeCode: 'ApplicationComplete' }, 7, good, complete()],
    });
    const { results } = JSON.parse(await answer.text());

    expect(answer.status).toBe(202);
    expect(results).toEqual([
      expect.objectContaining({ duplicate: false }),
      { invalidFields: { '/token': expect.any(String) } },
      { invalidFields: expect.any(Object) },
      { ...results[0], duplicate: true },
      expect.objectContaining({ duplicate: false }),
    ]);
    expect(await find(results[4].signalId)).toMatchObject({ state: 'waiting' });
  });

  it('1000 signals → accepted; 1001 → 422', async () => {
    const { call, status } = await setup();
    const signals = Array.from({ length: 1000 }, complete);

    const full = await call('POST', '/signals/batch', { signals });
    const over = await call('POST', '/signals/batch', { signals: [...signals, complete()] });

    expect([full.status, over.status]).toEqual([202, 422]);
    expect(JSON.parse(await full.text()).results).toHaveLength(1000);
    expect(await over.json()).toMatchObject({ invalidFields: { '/signals': expect.any(String) } });
    expect((await status()).counts.waiting).toBe(1000);
  });

  it.each([{}, { signals: 'none' }, [], null])('body %j → 422', async (body) => {
    const { call } = await setup();

    expect((await call('POST', '/signals/batch', body)).status).toBe(422);
  });

  it('body over 4 MiB → 413', async () => {
    const { call } = await setup();
    const token = 'x'.repeat(4 * 1024 * 1024);

    expect((await call('POST', '/signals/batch', { signals: [{ token }] })).status).toBe(413);
  });
});
