import { buildSignal } from '../../support/buildSignal.ts';
import { json, raw, refused, reset } from '../../support/scriptedSeek.ts';
import { CLIENT_SECRET, PARTNER_TOKEN, REQUEST_ID, setup, TOKEN } from './setupSeekClient.ts';

describe('secrets in SEEK’s answer', () => {
  const spellings = (secret: string) => [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
  ];
  const signal = buildSignal({ token: TOKEN });
  const fragments = [TOKEN, PARTNER_TOKEN, CLIENT_SECRET].flatMap(spellings);

  const expectNoSecret = (text: string) => {
    for (const fragment of fragments) {
      expect(text).not.toContain(fragment);
      expect(text).not.toContain(JSON.stringify(fragment).slice(1, -1));
    }
  };

  it.each(fragments)('%s in message, extensions and keys → masked', async (fragment) => {
    const { send } = await setup([
      refused('BAD_USER_INPUT', {
        message: `Token ${fragment} is not valid`,
        extensions: {
          invalidFields: { '/input/token': `${fragment}: Is not valid` },
          list: [{ [fragment]: fragment }],
        },
      }),
    ]);

    const result = await send(signal, PARTNER_TOKEN);

    expect(result).toMatchObject({
      errors: [
        {
          message: 'Token [masked] is not valid',
          extensions: {
            invalidFields: { '/input/token': '[masked]: Is not valid' },
            list: [{ '[masked]': '[masked]' }],
          },
        },
      ],
    });
  });

  it.each(fragments)(
    '%s as the value of an answer without errors → masked, and cut',
    async (fragment) => {
      const { send } = await setup([
        json({ data: { sendSignal: `${fragment} ${'x'.repeat(200)}` } }),
      ]);

      await expect(send(signal, PARTNER_TOKEN)).resolves.toEqual({
        kind: 'accepted',
        unconfirmed: `[masked] ${'x'.repeat(91)}`,
      });
    },
  );

  it('tokens of several signals → all masked', async () => {
    const tokens = ['first-seek-token', TOKEN, 'third/seek+token'];
    const { sendAll, logs } = await setup(
      [
        refused('BAD_USER_INPUT', {
          message: tokens.join(' and '),
          extensions: {
            invalidFields: Object.fromEntries(
              tokens.map((token, row) => [
                `/input/signals/${row}/token`,
                `${encodeURIComponent(token)}: Is not valid`,
              ]),
            ),
          },
        }),
      ],
      { logBodies: true },
    );

    const result = await sendAll(
      tokens.map((token) => buildSignal({ token })),
      PARTNER_TOKEN,
    );

    expect(result).toMatchObject({
      errors: [
        {
          message: '[masked] and [masked] and [masked]',
          extensions: {
            invalidFields: {
              '/input/signals/0/token': '[masked]: Is not valid',
              '/input/signals/1/token': '[masked]: Is not valid',
              '/input/signals/2/token': '[masked]: Is not valid',
            },
          },
        },
      ],
    });
    expect(logs.lines()).toHaveLength(1);
    for (const token of tokens.flatMap(spellings)) expect(logs.text()).not.toContain(token);
  });

  it.each([true, false])('LOG_BODIES %s → no secret reaches the log', async (logBodies) => {
    const echoed = fragments.join(' ');
    const { send, logs } = await setup(
      [
        refused('BAD_USER_INPUT', { message: echoed, extensions: { echoed } }),
        raw(`<p>${echoed}</p>`, { status: 502 }),
        raw(echoed),
      ],
      { logBodies },
    );

    for (let number = 1; number <= 3; number += 1) await send(signal, PARTNER_TOKEN);

    expect(logs.lines()).toHaveLength(logBodies ? 3 : 0);
    expectNoSecret(logs.text());
  });
});

describe('LOG_BODIES', () => {
  it('off → logs nothing', async () => {
    const { send, logs } = await setup();

    await send();

    expect(logs.text()).toBe('');
  });

  it('on → logs request and answer', async () => {
    const { send, logs } = await setup([refused('FORBIDDEN', { message: 'As SEEK says' })], {
      logBodies: true,
    });

    await send();

    expect(logs.lines()).toEqual([
      expect.objectContaining({
        msg: 'seek.exchange',
        requestId: REQUEST_ID,
        status: 200,
        request: expect.objectContaining({
          query: 'mutation ($input: SendSignalInput!) { sendSignal(input: $input) }',
        }),
      }),
    ]);
    expect(logs.text()).toContain('As SEEK says');
  });

  it('on → describes the token by length, hash and unusual characters', async () => {
    const { send, logs } = await setup([], { logBodies: true });

    await send(buildSignal({ token: 'a+b%2Bc' }));

    expect(logs.lines()).toMatchObject([
      {
        request: {
          variables: {
            input: { token: expect.stringMatching(/length 7, sha256 [0-9a-f]{8}, holds % and \+/) },
          },
        },
      },
    ]);
  });

  it('on, answer of 900 KB → the log line is bounded, and the outcome the same', async () => {
    const { send, logs } = await setup([refused('FORBIDDEN', { message: 'm'.repeat(900_000) })], {
      logBodies: true,
    });

    await expect(send()).resolves.toMatchObject({ kind: 'refused' });

    expect(logs.text().length).toBeLessThan(20_000);
    expect(logs.lines()).toMatchObject([{ answer: expect.stringMatching(/m…$/) }]);
  });

  it('on, no answer → logs the request alone', async () => {
    const { send, logs } = await setup([reset()], { logBodies: true });

    await send();

    expect(logs.lines()).toMatchObject([{ msg: 'seek.exchange', requestId: REQUEST_ID }]);
    expect(logs.lines()[0]).not.toHaveProperty('answer');
  });

  it.each([
    { what: 'an escaped slash', token: 'seek/token', body: '{"a":"seek\\/token"}' },
    {
      what: 'escaped letters beyond ASCII',
      token: 'seek-tökén',
      body: '{"a":"seek-t\\u00f6k\\u00e9n"}',
    },
    { what: 'percent-encoding in lower case', token: 'seek+token/1', body: 'seek%2btoken%2f1' },
    {
      what: 'JSON within JSON',
      token: 'seek"token',
      body: JSON.stringify({ a: JSON.stringify({ b: 'seek"token' }) }),
    },
  ])('answer spells the token with $what → masked', async ({ token, body }) => {
    const { send, logs } = await setup([raw(body)], { logBodies: true });

    await send(buildSignal({ token }));

    const core = /tok|t\\+u00f6|seek%2b/;
    expect(Reflect.get(logs.lines()[0] ?? {}, 'answer')).not.toMatch(core);
  });
});
