import { NoAnswerError } from '../../../src/worker/seek/http.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import {
  buildApplicationComplete,
  buildSeekSample,
  buildSignal,
} from '../../support/buildSignal.ts';
import { cutOff, delivered, hang, raw, reset, trickle } from '../../support/scriptedSeek.ts';
import { waitFor } from '../../support/waitFor.ts';
import { REQUEST_ID, setup, setupFailing, TOKEN } from './setupSeekClient.ts';

describe('request to SEEK', () => {
  it('→ is a POST with user agent, partner token and request id', async () => {
    const { send, seek } = await setup();

    await send();

    expect(seek.requests).toMatchObject([
      {
        method: 'POST',
        headers: {
          authorization: 'Bearer partner-1',
          'content-type': expect.stringMatching(/^application\/json/),
          'user-agent': 'test/1.2.3',
          'x-request-id': REQUEST_ID,
        },
      },
    ]);
  });

  it('→ its body holds query and variables only', async () => {
    const { send, seek } = await setup();

    await send(buildSeekSample());

    const sample = buildSeekSample();
    expect(seek.requests[0]?.body).toStrictEqual({
      query: 'mutation ($input: SendSignalInput!) { sendSignal(input: $input) }',
      variables: { input: { ...sample, positionProfileIds: [sample.positionProfileIds] } },
    });
  });

  it('several signals of different types → one request, in their order', async () => {
    const { sendAll, seek } = await setup();
    const signals = [buildSignal(), buildApplicationComplete({ token: TOKEN }), buildSignal()];

    await expect(sendAll(signals)).resolves.toEqual({ kind: 'accepted' });

    expect(seek.requests.map(({ body }) => body)).toStrictEqual([
      {
        query: 'mutation ($input: SendSignalsInput!) { sendSignals(input: $input) }',
        variables: {
          input: {
            signals: signals.map((signal) => JSON.parse(JSON.stringify(acceptedBySeek(signal)))),
          },
        },
      },
    ]);
  });

  it('success: null → is sent, other nulls are not', async () => {
    const { send, seek } = await setup();

    await send(buildSignal({ previous: null, candidateApplicationProfileId: null }));

    expect(seek.requests[0]?.text).toContain('"success":null');
    expect(seek.requests[0]?.text.match(/null/g)).toHaveLength(1);
  });

  it('token with special characters → is sent unchanged', async () => {
    const { send, seek } = await setup();

    await send(buildSignal({ token: TOKEN }));

    expect(seek.inputs()).toMatchObject([{ token: TOKEN }]);
  });

  it('answered or not → its duration is reported', async () => {
    const { send, seconds } = await setup([delivered(), reset()]);

    await send();
    await send();

    expect(seconds).toEqual([expect.any(Number), expect.any(Number)]);
    expect(Math.min(...seconds)).toBeGreaterThan(0);
  });
});

describe('no answer', () => {
  it.each([
    { what: 'connection reset', reply: reset(), reason: /^request failed/ },
    { what: 'answer cut off', reply: cutOff(), reason: /^request failed/ },
    {
      what: 'answer over a MiB',
      reply: raw('x'.repeat(1024 * 1024 + 1)),
      reason: /^answer over 1048576 bytes$/,
    },
  ])('$what → unreachable', async ({ reply, reason }) => {
    const { send } = await setup([reply]);

    await expect(send()).resolves.toEqual({
      kind: 'unreachable',
      reason: expect.stringMatching(reason),
      unsent: false,
    });
  });

  it.each([
    { what: 'nothing comes', reply: hang() },
    { what: 'the body trickles', reply: trickle() },
  ])('$what → unreachable after the timeout', async ({ reply }) => {
    const { send } = await setup([reply], { timeoutMs: 60 });

    await expect(send()).resolves.toEqual({
      kind: 'unreachable',
      reason: 'no answer within 60 ms',
      unsent: false,
    });
  });

  it('no connection → unreachable and unsent', async () => {
    const { client } = setupFailing(
      new NoAnswerError('request failed: ECONNREFUSED', { unsent: true }),
    );

    await expect(client()).resolves.toEqual({
      kind: 'unreachable',
      reason: 'request failed: ECONNREFUSED',
      unsent: true,
    });
  });

  it('aborted while waiting → aborted', async () => {
    const { send, seek } = await setup([hang()]);
    const abort = new AbortController();

    const sent = send(buildSignal(), 'partner-1', abort.signal);
    await waitFor(() => seek.requests.length === 1);
    abort.abort();

    await expect(sent).resolves.toEqual({ kind: 'aborted' });
  });

  it('aborted in the middle of an answer → aborted', async () => {
    const abort = new AbortController();
    const { send } = await setup([
      (response) => {
        response.write('{"data":', () => abort.abort());
      },
    ]);

    await expect(send(buildSignal(), 'partner-1', abort.signal)).resolves.toEqual({
      kind: 'aborted',
    });
  });

  it('aborted before the request → aborted, and nothing is sent', async () => {
    const { send, seek } = await setup();

    await expect(send(buildSignal(), 'partner-1', AbortSignal.abort())).resolves.toEqual({
      kind: 'aborted',
    });
    expect(seek.requests).toEqual([]);
  });

  it('aborted after the answer → the answer counts', async () => {
    const abort = new AbortController();
    const { send } = await setup();

    const result = await send(buildSignal(), 'partner-1', abort.signal);
    abort.abort();

    expect(result).toEqual({ kind: 'accepted' });
  });
});

describe('internal error', () => {
  it('→ rejects, and does not look like an answer from SEEK', async () => {
    const { client } = setupFailing(new TypeError('bug'));

    await expect(client()).rejects.toThrow('the request failed before it was sent');
  });
});
