import { buildRecord, setup } from './setup.ts';

describe('page of a signal', () => {
  it('attempts, identifiers and redrives of the record → all shown, with a hint for the last code', async () => {
    const attempts = [
      {
        at: '2026-07-01T00:00:01.000Z',
        requestId: 'request-1',
        outcome: 'retry' as const,
        code: 'HTTP_503',
        reason: 'HTTP 503 without a GraphQL answer',
        durationMs: 31,
      },
      {
        at: '2026-07-01T00:00:09.000Z',
        requestId: 'request-2',
        outcome: 'dead' as const,
        code: 'FORBIDDEN',
        reason: 'Not for this hirer',
        durationMs: 12,
        tokenUsed: {
          source: 'linkOut' as const,
          receivedAt: '2026-06-30T00:00:00Z',
          expired: false,
        },
      },
    ];
    const { text } = setup({
      find: async () =>
        buildRecord({
          attempts,
          redrives: 2,
          acceptedFrom: 'careers',
          candidateApplicationProfileId: 'candidate<1>',
          redriveLog: [{ at: '2026-07-01T00:00:05.000Z', by: 'board:ops' }],
        }),
    });

    const html = await text('/signals/signal-1');

    for (const expected of ['request-1', 'request-2', '31 ms', 'FORBIDDEN: Not for this hirer']) {
      expect(html).toContain(expected);
    }
    expect(html).toContain('linkOut of 2026-06-30T00:00:00Z');
    expect(html).toContain('from careers');
    expect(html).toContain('<code>candidate&lt;1&gt;</code>');
    expect(html).toContain('<code>2026-07-01T00:00:05.000Z</code>, by board:ops');
    expect(html).toContain('with SEEK, then redrive');
  });

  it('attempt answered without errors, but not with true → shows the value', async () => {
    const attempt = {
      at: '2026-07-01T00:00:01.000Z',
      outcome: 'delivered' as const,
      durationMs: 31,
      seekAnswer: '<later>',
    };
    const { text } = setup({
      find: async () => buildRecord({ state: 'delivered', attempts: [attempt] }),
    });

    expect(await text('/signals/signal-1')).toContain(
      'no errors, but <bdi>&quot;&lt;later&gt;&quot;</bdi> instead of true',
    );
  });

  it.each([
    { state: 'dead' as const, link: '/queues/queue/dead-letters/a%2Fb?status=failed' },
    { state: 'retrying' as const, link: '/queues/queue/signals/a%2Fb?status=delayed' },
  ])('signal in the state $state → links to its job in Bull Board', async ({ state, link }) => {
    const { text } = setup({ find: async () => buildRecord({ signalId: 'a/b', state }) });

    expect(await text('/signals/a%2Fb')).toContain(`href="${link}"`);
  });

  it('HTML in the record → escaped', async () => {
    const { text } = setup({
      find: async () => buildRecord({ reason: '<script>alert(1)</script>', typeCode: '"><b>' }),
    });

    const html = await text('/signals/x');

    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(html).not.toMatch(/<script|"><b>/);
  });

  it.each(['/signals/unknown', '/signals/%00'])('GET %s, an unknown id → 404', async (path) => {
    const { get } = setup({
      find: async (signalId) => {
        if (signalId.includes('\0')) throw new Error('NUL in an id');
        return undefined;
      },
    });

    const answer = await get(path);

    expect(answer.status).toBe(404);
    expect(await answer.text()).toContain('No signal is stored');
  });
});

describe('redrive from the page of a signal', () => {
  const button = '<button>Redrive</button>';
  const dead = { find: async () => buildRecord() };

  it('button → shown only for a dead letter, and not in a read-only login', async () => {
    const waiting = { find: async () => buildRecord({ state: 'waiting' }) };

    expect(await setup(dead).text('/signals/signal-1')).toContain(button);
    expect(await setup(dead, true).text('/signals/signal-1')).not.toContain(button);
    expect(await setup(waiting).text('/signals/signal-1')).not.toContain(button);
  });

  it('redriven → passes the login on, logs it, and returns to the page of the signal', async () => {
    const redrives: [string, string][] = [];
    const logged: object[] = [];
    const { post, text } = setup({
      ...dead,
      redrive: async (signalId, by) => {
        redrives.push([signalId, by]);
        return { kind: 'redriven' };
      },
      log: (fields, message) => logged.push({ ...fields, message }),
    });

    const answer = await post('/signals/signal-1/redrive');

    expect([answer.status, answer.headers.get('location')]).toEqual([
      303,
      '/signals/signal-1?asked',
    ]);
    expect(redrives).toEqual([['signal-1', 'board:ops']]);
    expect(logged).toEqual([
      { by: 'ops', signalId: 'signal-1', outcome: 'redriven', message: 'Redrive requested' },
    ]);
    const page = await text('/signals/signal-1?asked');
    expect(page).toContain('content="2; url=/signals/signal-1"');
    expect(page).not.toContain(button);
  });

  it.each([
    { redriven: { kind: 'not-found' as const }, status: 409, says: 'no longer a dead letter' },
    { redriven: { kind: 'busy' as const }, status: 409, says: 'already being redriven' },
    {
      redriven: { kind: 'invalid' as const, invalidFields: { '/token': 'Must not be <empty>' } },
      status: 422,
      says: '/token: Must not be &lt;empty&gt;',
    },
  ])(
    'not redriven: $redriven.kind → $status with the reason',
    async ({ redriven, status, says }) => {
      const { post } = setup({ ...dead, redrive: async () => redriven });

      const answer = await post('/signals/signal-1/redrive');

      expect(answer.status).toBe(status);
      expect(await answer.text()).toContain(says);
    },
  );

  it('read-only login → 403, not redriven', async () => {
    const redrive = () => Promise.reject(new Error('must not redrive'));
    const { post } = setup({ ...dead, redrive }, true);

    expect((await post('/signals/signal-1/redrive')).status).toBe(403);
  });
});

describe('search', () => {
  it('id of a signal → redirects to its page', async () => {
    const { get } = setup({ find: async () => buildRecord() });

    const answer = await get('/signals?q=%20signal-1%20');

    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/signals/signal-1']);
  });

  it('other value → lists the signals found, and keeps the value in the search field', async () => {
    const queries: string[] = [];
    const { text } = setup({
      search: async (value) => {
        queries.push(value);
        return [
          buildRecord({ signalId: 'one' }),
          buildRecord({ signalId: 'two', state: 'delivered' }),
        ];
      },
    });

    const html = await text('/signals?q=request%221');

    expect(queries).toEqual(['request"1']);
    expect(html).toContain('href="/signals/one"');
    expect(html).toContain('<td class="good">delivered</td>');
    expect(html).toContain('value="request&quot;1"');
  });

  it.each(['', '%20', '%00'])('empty or unusable value %p → not searched', async (value) => {
    const { get } = setup({ search: () => Promise.reject(new Error('must not search')) });

    expect((await get(`/signals?q=${value}`)).status).toBeLessThan(400);
  });
});
