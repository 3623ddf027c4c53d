import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSignal,
} from '../support/buildSignal.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { refused } from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';
import { always, complete, many, useDeadLetters } from './setupDeadLetters.ts';

describe.each(PLATFORMS)('dead letters on $name', ({ start }) => {
  const { setup } = useDeadLetters(start);

  describe('that no worker has failed yet', () => {
    const setupUnfailed = async () => {
      const subject = await setup({ workers: 0 });
      const ids = await subject.fail(3);
      for (const job of await subject.signals.getFailed()) await subject.moveToDeadLetters(job);
      expect(await subject.deadLetters.getWaitingCount()).toBe(3);
      return { ...subject, ids };
    };

    it('are counted as dead and listed', async () => {
      const { status, deadLetters, ids, find, get } = await setupUnfailed();

      expect((await status()).counts).toMatchObject({ waiting: 0, dead: 3 });
      const page = await get<{ deadLetters: { signalId: string }[] }>('/dead-letters');
      expect(page.deadLetters.map(({ signalId }) => signalId).toSorted()).toEqual(ids.toSorted());
      expect(await find(ids[0] ?? '')).toMatchObject({ state: 'dead' });
      expect(await deadLetters.getFailedCount()).toBe(0);
    });

    it('and are redriven → go back once a worker starts; it fails the others', async () => {
      const { ids, redrive, startWorker, until, untilDeadLettered } = await setupUnfailed();
      const [redriven = '', ...others] = ids;

      expect(await redrive(redriven)).toBe(202);
      await startWorker();

      expect(await until(redriven, 'delivered')).toMatchObject({ redrives: 1 });
      for (const id of others) await untilDeadLettered(id);
    });

    it('and are redriven twice → are counted as redriven once', async () => {
      const { call, deadLetters } = await setupUnfailed();
      const redriveAll = async () => (await call('POST', '/dead-letters/redrive')).json();

      expect(await redriveAll()).toMatchObject({ redriven: 3 });
      expect(await redriveAll()).toMatchObject({ redriven: 0 });
      expect(await deadLetters.getWaitingCount()).toBe(3);
    });

    it('and are discarded → are skipped', async () => {
      const { ids, call, find, startWorker, untilDeadLettered, deadLetters } =
        await setupUnfailed();
      const [discarded = '', ...others] = ids;

      expect((await call('DELETE', `/dead-letters/${discarded}?reason=test`)).status).toBe(204);
      await startWorker();
      for (const id of others) await untilDeadLettered(id);

      expect(await find(discarded)).toMatchObject({ state: 'skipped' });
      expect(await deadLetters.getJobState(discarded)).toBe('unknown');
    });
  });

  describe('of several kinds', () => {
    const setupKinds = async () => {
      const noRelationship = refused('FORBIDDEN', { message: 'No Relationship with the hirer' });
      const subject = await setup({
        answers: [
          noRelationship,
          noRelationship,
          refused('BAD_USER_INPUT', { message: 'Not valid' }),
        ],
      });
      const { send, call, untilDeadLettered } = subject;
      const applicationId = `application of ${newToken()}`;
      const path = `/applications/${encodeURIComponent(applicationId)}/seek-token`;
      await call('PUT', path, { token: newToken(), source: 'linkOut' });
      const sendToDeadLetters = async (signal: object): Promise<string> => {
        const { signalId } = await send(signal);
        await untilDeadLettered(signalId);
        return signalId;
      };
      const one = await sendToDeadLetters(
        buildApplicationComplete({ token: undefined, applicationId }),
      );
      const two = await sendToDeadLetters(complete());
      const three = await sendToDeadLetters(buildSignal({ token: newToken() }));
      return { ...subject, applicationId, one, two, three };
    };

    it('are listed by application, text and code', async () => {
      const { applicationId, one, two, three, get } = await setupKinds();
      const list = async (query: Record<string, string>) => {
        const path = `/dead-letters?${new URLSearchParams(query)}`;
        const page = await get<{ deadLetters: { signalId: string }[] }>(path);
        return page.deadLetters.map(({ signalId }) => signalId).toSorted();
      };

      expect(await list({ applicationId })).toEqual([one]);
      expect(await list({ applicationId: 'another' })).toEqual([]);
      expect(await list({ text: 'no relationship' })).toEqual([one, two].toSorted());
      expect(await list({ text: 'bad_user' })).toEqual([three]);
      expect(await list({ text: three.slice(3, 12).toUpperCase() })).toEqual([three]);
      expect(await list({ text: 'STATUSUPDATE', code: 'FORBIDDEN' })).toEqual([]);
    });

    it('are counted by code and type, the largest count first', async () => {
      const { get } = await setupKinds();
      const forbidden = {
        code: 'FORBIDDEN',
        typeCode: 'ApplicationComplete',
        count: 2,
        reason: expect.stringContaining('No Relationship'),
        firstAt: expect.any(String),
        lastAt: expect.any(String),
      };

      const all = await get<{ counts: { firstAt: string; lastAt: string }[] }>(
        '/dead-letters/counts',
      );

      expect(all.counts).toEqual([
        forbidden,
        expect.objectContaining({
          code: 'BAD_USER_INPUT',
          typeCode: 'ApplicationStatusUpdate',
          count: 1,
        }),
      ]);
      expect(all.counts.every(({ firstAt, lastAt }) => firstAt <= lastAt)).toBe(true);
      expect(await get('/dead-letters/counts?code=FORBIDDEN')).toEqual({ counts: [forbidden] });
    });

    it('are redriven by filter, and the others stay', async () => {
      const { call, seek, until, one, two, three, find } = await setupKinds();
      seek.answerWith([]);

      const answer = await call('POST', '/dead-letters/redrive', { text: 'relationship' });

      expect(await answer.json()).toMatchObject({ redriven: 2 });
      for (const id of [one, two])
        expect(await until(id, 'delivered')).toMatchObject({ redrives: 1 });
      expect(await find(three)).toMatchObject({ state: 'dead', redrives: 0 });
    });
  });

  it('120 listed in pages of 7 → each is listed exactly once', async () => {
    const { sendAll, get, deadLetters } = await setup({ answers: always('FORBIDDEN') });
    const accepted = await sendAll(many(120));
    await waitFor(async () => (await deadLetters.getFailedCount()) === 120);

    const pages: { signalId: string }[][] = [];
    let cursor: string | undefined;
    do {
      type Page = { deadLetters: { signalId: string }[]; nextCursor?: string };
      const after: string = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page: Page = await get<Page>(`/dead-letters?limit=7${after}`);
      pages.push(page.deadLetters);
      cursor = page.nextCursor;
    } while (cursor !== undefined);

    expect(pages.map(({ length }) => length)).toEqual([...Array(17).fill(7), 1]);
    expect(
      pages
        .flat()
        .map(({ signalId }) => signalId)
        .toSorted(),
    ).toEqual(accepted.map(({ signalId }) => signalId).toSorted());
  });

  it('listed by code, type and time → only those that match, newest first', async () => {
    const { seek, send, untilDeadLettered, get } = await setup();
    const list = async (query: Record<string, string>) => {
      const path = `/dead-letters?${new URLSearchParams(query)}`;
      const { deadLetters } = await get<{ deadLetters: { signalId: string }[] }>(path);
      return deadLetters.map(({ signalId }) => signalId);
    };
    const sendToDeadLetters = async (code: string, signal: object) => {
      seek.answerWith([refused(code)]);
      const { signalId } = await send(signal);
      return untilDeadLettered(signalId);
    };
    const a = await sendToDeadLetters('FORBIDDEN', complete());
    const b = await sendToDeadLetters('BAD_USER_INPUT', buildSignal({ token: newToken() }));
    await waitFor(() => Date.now() > Date.parse(b.diedAt));
    const positionProfileIds = [newToken()];
    const c = await sendToDeadLetters(
      'FORBIDDEN',
      buildPositionStatusUpdate({ positionProfileIds }),
    );

    expect(await list({})).toEqual([c.signalId, b.signalId, a.signalId]);
    expect(await list({ code: 'FORBIDDEN' })).toEqual([c.signalId, a.signalId]);
    expect(await list({ type: 'ApplicationStatusUpdate' })).toEqual([b.signalId]);
    expect(await list({ code: 'FORBIDDEN', type: 'ApplicationComplete' })).toEqual([a.signalId]);
    expect(await list({ since: c.diedAt })).toEqual([c.signalId]);
    expect(await list({ until: c.diedAt })).toEqual([b.signalId, a.signalId]);
    expect(await list({ limit: '1' })).toEqual([c.signalId]);
    expect(await list({ code: 'NO_SUCH_CODE' })).toEqual([]);
  });
});
