import { openBoard } from '../../src/board/createBoard.ts';
import { compose } from '../../src/cli/compose.ts';
import { loadConfig } from '../../src/config/config.ts';
import { DEAD_LETTERS, SIGNALS } from '../../src/queue/backend.ts';

import { buildApplicationComplete, buildPositionStatusUpdate } from '../support/buildSignal.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { html, refused } from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';
import { waitFor } from '../support/waitFor.ts';

const LOGIN = { username: 'operator', password: 'secret' };
const HOUR_MS = '3600000';

describe.each(PLATFORMS)('board on $name', ({ start }) => {
  const onPlatform = usePlatform(start);

  const setup = async (options: Parameters<typeof onPlatform.setup>[0] = {}) => {
    const dispatcher = await onPlatform.setup(options);
    const backend = dispatcher.openBackend();
    const accounts = [{ ...LOGIN, readOnly: false }];
    const app = await openBoard({
      ...compose(loadConfig({}), backend, captureLogs().logger),
      accounts,
    });
    const authorization = `Basic ${btoa(`${LOGIN.username}:${LOGIN.password}`)}`;
    const request = (method: string, path: string) =>
      app.request(`http://board.test${path}`, {
        method,
        headers: { host: 'board.test', authorization },
      });
    return { ...dispatcher, request, backend };
  };

  /** Signals that SEEK rejects with their tokens in its answer. Each is a failed dead letter. */
  const setupRejected = async (count = 1) => {
    const tokens = Array.from({ length: count }, newToken);
    const subject = await setup({
      answers: ({ text }) =>
        refused('BAD_USER_INPUT', {
          message: 'Input validation failed',
          extensions: {
            invalidFields: {
              '/input/token': `Is not valid: ${JSON.parse(text).variables.input.token}`,
            },
          },
        }),
    });
    const signals = tokens.map((token) => buildApplicationComplete({ token }));
    const ids = (await subject.sendAll(signals)).map(({ signalId }) => signalId);
    for (const id of ids) await subject.untilDeadLettered(id);
    return { ...subject, tokens, ids, id: ids[0] ?? '' };
  };

  it("rejected signal → Bull Board shows a failed dead letter with SEEK's reason, token masked", async () => {
    const { request, id } = await setupRejected();

    const answer = await request(
      'GET',
      '/api/queues?activeQueue=dead-letters&status=failed&page=1',
    );
    const { queues } = JSON.parse(await answer.text());

    const deadLetters = queues.find(({ name }: { name: string }) => name === DEAD_LETTERS);
    expect(deadLetters.counts).toMatchObject({ failed: 1 });
    expect(deadLetters.jobs).toEqual([
      expect.objectContaining({
        id,
        failedReason:
          'BAD_USER_INPUT: Input validation failed; /input/token: Is not valid: [masked]',
      }),
    ]);
  });

  it('rejected signal → the status pages show it with its reason', async () => {
    const { request, id, until, backend } = await setupRejected();
    const requestId = (await until(id, 'dead')).attempts[0]?.requestId ?? '';
    const text = async (path: string) => (await request('GET', path)).text();
    await waitFor(async () => (await backend.workerStats.read(3_600_000)).workers.length > 0);

    const [overview, signal] = [await text('/'), await text(`/signals/${id}`)];

    const reason = 'BAD_USER_INPUT: Input validation failed; /input/token: Is not valid';
    for (const page of [overview, signal]) expect(page).toContain(reason);
    expect(overview).toContain('Delivery to SEEK is running');
    expect(overview).toContain('Workers alive: 1');
    expect(overview).toContain(`href="/signals/${id}"`);
    expect(signal).toContain(requestId);
    expect(signal).toContain(`href="/queues/queue/dead-letters/${id}?status=failed"`);
  });

  it.each(['by its id', 'by its X-Request-Id', 'by its position'])(
    'search for a signal %s → found',
    async (key) => {
      const { request, send, until } = await setup();
      const positionProfileId = `seekAnzPublicTest:positionProfile:organization:${newToken()}`;
      const { signalId } = await send(
        buildPositionStatusUpdate({ positionProfileIds: [positionProfileId] }),
      );
      const { attempts } = await until(signalId, 'delivered');
      const values: Record<string, string | undefined> = {
        'by its id': signalId,
        'by its X-Request-Id': attempts[0]?.requestId,
        'by its position': positionProfileId,
      };
      const query = `/signals?q=${encodeURIComponent(values[key] ?? '')}`;

      await waitFor(async () => {
        const found = await request('GET', query);
        return [found.headers.get('location'), await found.text()]
          .join()
          .includes(`/signals/${signalId}`);
      });

      expect(await (await request('GET', '/signals?q=nothing')).text()).toContain(
        'No signal is stored',
      );
    },
  );

  it('a signal that names a position of the ATS → found by it, and its page shows it', async () => {
    const { request, send, until } = await setup();
    const positionId = `<requisition> ${newToken()}`;
    const signal = buildPositionStatusUpdate({ positionProfileIds: undefined, positionId });
    const { signalId } = await send(signal);
    await until(signalId, 'skipped');

    const page = await (await request('GET', `/signals/${signalId}`)).text();
    expect(page).toContain(`<bdi>${positionId.replace('<', '&lt;').replace('>', '&gt;')}</bdi>`);
    expect(page).toContain('not-advertised');
    await waitFor(async () => {
      const found = await request('GET', `/signals?q=${encodeURIComponent(positionId)}`);
      return [found.headers.get('location'), await found.text()].join().includes(signalId);
    });
  });

  it('Retry of a dead letter → redriven, recorded with the login, delivered', async () => {
    const { request, seek, id, until, backend } = await setupRejected();
    seek.answerWith([]);

    const answer = await request('PUT', `/api/queues/dead-letters/${id}/retry`);

    expect(answer.status).toBe(204);
    expect(await until(id, 'delivered')).toMatchObject({
      redrives: 1,
      redriveLog: [{ at: expect.any(String), by: `board:${LOGIN.username}` }],
    });
    const deadLetters = await backend.queue(DEAD_LETTERS);
    await waitFor(async () => (await deadLetters.getJobState(id)) === 'unknown');
  });

  it('Redrive on the page of a signal → delivered, recorded with the login', async () => {
    const { request, seek, id, until } = await setupRejected();
    seek.answerWith([]);

    const answer = await request('POST', `/signals/${id}/redrive`);

    expect([answer.status, answer.headers.get('location')]).toEqual([303, `/signals/${id}?asked`]);
    expect(await until(id, 'delivered')).toMatchObject({
      redriveLog: [{ by: `board:${LOGIN.username}` }],
    });
  });

  it('Retry all → redrives every dead letter, all are delivered', async () => {
    const { request, seek, ids, until } = await setupRejected(20);
    seek.answerWith([]);

    const answer = await request('PUT', '/api/queues/dead-letters/retry/failed');

    expect(await answer.json()).toEqual({ retried: 20, skipped: 0 });
    for (const id of ids) expect(await until(id, 'delivered')).toMatchObject({ redrives: 1 });
    expect(seek.requests).toHaveLength(40);
  });

  it('Promote of a retrying signal → attempted at once', async () => {
    const { request, send, until, seek } = await setup({
      answers: [html(503)],
      env: { RETRY_BASE_MS: HOUR_MS, RETRY_MAX_MS: HOUR_MS },
    });
    const { signalId } = await send(buildApplicationComplete({ token: newToken() }));
    await until(signalId, 'retrying');

    const answer = await request('PUT', `/api/queues/signals/${signalId}/promote`);

    expect(answer.ok).toBe(true);
    await until(signalId, 'delivered');
    expect(seek.requests).toHaveLength(2);
  });

  it.each([
    ['PUT', '/clean'],
    ['PUT', '/obliterate'],
    ['PUT', '/empty'],
    ['PUT', '/pause'],
    ['PUT', '/{id}/clean'],
    ['PATCH', '/{id}/update-data'],
    ['POST', '/add'],
  ])('%s %s on the dead letters → refused, the dead letter is unchanged', async (method, path) => {
    const { request, id, untilDeadLettered } = await setupRejected();

    const answer = await request(method, `/api/queues/dead-letters${path.replace('{id}', id)}`);

    expect(answer.status).toBe(403);
    expect(await untilDeadLettered(id)).toMatchObject({ redrives: 0 });
  });

  it('signals in different states → no page holds a token', async () => {
    const { request, seek, send, until, tokens, id } = await setupRejected();
    const sendUntil = async (state: 'delivered' | 'dead') => {
      const token = newToken();
      tokens.push(token);
      const { signalId } = await send(buildApplicationComplete({ token }));
      await until(signalId, state);
      return signalId;
    };
    seek.answerWith([]);
    const sent = await sendUntil('delivered');

    const lists = ['completed', 'failed', 'waiting', 'delayed', 'active', 'latest'].flatMap(
      (status) =>
        [SIGNALS, DEAD_LETTERS].map(
          (queue) => `/api/queues?activeQueue=${queue}&status=${status}&page=1&jobsPerPage=50`,
        ),
    );
    const details = [
      `/api/queues/${DEAD_LETTERS}/${id}`,
      `/api/queues/${DEAD_LETTERS}/${id}/logs`,
      `/api/queues/${SIGNALS}/${sent}`,
      `/api/queues/${SIGNALS}/${sent}/logs`,
      `/signals/${id}`,
      `/signals/${sent}`,
    ];
    const texts = await Promise.all(
      ['/', ...lists, ...details].map(async (path) => {
        const answer = await request('GET', path);
        expect([path, answer.status]).toEqual([path, 200]);
        return answer.text();
      }),
    );

    expect(texts.join('')).toContain(sent);
    for (const token of tokens) {
      for (const spelling of [token, encodeURIComponent(token), btoa(token)]) {
        expect(texts.filter((text) => text.includes(spelling))).toEqual([]);
      }
    }
  });
});
