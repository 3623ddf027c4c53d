import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildState,
} from '../support/buildSignal.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { json, refused } from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';
import { ago, named, newApplication, tokenPath, useSeekTokens } from './setupSeekTokens.ts';

const PROFILE_ID = 'seekAnz:candidateApplicationProfile:apply:1';
const POSITIONS = ['seekAnz:positionProfile:jobAd:1', 'seekAnz:positionProfile:jobAd:2'];
const COMPLETED_AT = '2026-03-01T09:00:00.000Z';

const profilePath = (applicationId: string): string =>
  `/applications/${encodeURIComponent(applicationId)}/candidate-application-profile`;
const positionPath = (positionId: string): string => `/positions/${encodeURIComponent(positionId)}`;

// The embedded queue keeps the records of earlier tests.
let positions = 0;
const newPosition = (): string => {
  positions += 1;
  return `requisition ${positions}/ü`;
};

/** The application's own completion, with a time of its own. */
const completed = (applicationId: string, change: object = {}) =>
  buildApplicationComplete({
    token: undefined,
    applicationId,
    timestamp: COMPLETED_AT,
    ...change,
  });

/** What SEEK receives of the state that every status update in this file reports. */
const SENT_STATE = buildState();

describe.each(PLATFORMS)('identifiers that are resolved on delivery, on $name', ({ start }) => {
  const { setup: setupDispatcher } = useSeekTokens(start);

  const setup = async (options: Parameters<typeof setupDispatcher>[0] = {}) => {
    const dispatcher = await setupDispatcher(options);
    const { call, seek, send, until } = dispatcher;
    const put = async (path: string, body: object): Promise<void> => {
      const answer = await call('PUT', path, body);
      expect([answer.status, await answer.text()]).toEqual([204, '']);
    };
    return {
      ...dispatcher,
      seek,
      putToken: (applicationId: string, token: string, more: object = {}) =>
        put(tokenPath(applicationId), { token, source: 'linkOut', ...more }),
      putProfile: (applicationId: string, candidateApplicationProfileId = PROFILE_ID) =>
        put(profilePath(applicationId), { candidateApplicationProfileId }),
      putPosition: (positionId: string, positionProfileIds: string | string[] = POSITIONS) =>
        put(positionPath(positionId), { positionProfileIds }),
      /** Sends one signal and resolves with what SEEK received of it. */
      sent: async (signal: object, headers: object = {}): Promise<unknown> => {
        const { signalId } = await send(signal, headers);
        await until(signalId, 'delivered');
        return seek.inputs().at(-1);
      },
    };
  };

  describe('a candidate application profile', () => {
    it('without a token → goes with status updates in place of the application', async () => {
      const { putProfile, sent } = await setup();
      const applicationId = newApplication();
      await putProfile(applicationId);

      expect(await sent(named(applicationId))).toEqual({
        typeCode: 'ApplicationStatusUpdate',
        candidateApplicationProfileId: PROFILE_ID,
        current: SENT_STATE,
      });
    });

    it('without a token → ApplicationComplete is skipped with the reason not-required', async () => {
      const { putProfile, send, until, seek } = await setup();
      const applicationId = newApplication();
      await putProfile(applicationId);

      const { signalId } = await send(completed(applicationId));

      expect(await until(signalId, 'skipped')).toMatchObject({
        reason: 'not-required',
        attempts: [{ outcome: 'skipped', reason: 'not-required' }],
      });
      expect(seek.requests).toEqual([]);
    });

    it('with a token recorded later → both signals go with the token', async () => {
      const { putProfile, putToken, send, sent, until } = await setup();
      const [applicationId, token] = [newApplication(), newToken()];
      await putProfile(applicationId);
      const skipped = await send(completed(applicationId));
      await until(skipped.signalId, 'skipped');

      await putToken(applicationId, token);

      expect(await sent(named(applicationId))).toEqual({
        typeCode: 'ApplicationStatusUpdate',
        token,
        current: SENT_STATE,
      });
      expect(await send(completed(applicationId))).toEqual({
        signalId: skipped.signalId,
        duplicate: false,
        state: 'waiting',
      });
      await until(skipped.signalId, 'delivered');
    });

    it('beside an expired token → goes with status updates', async () => {
      const { putProfile, putToken, sent } = await setup();
      const applicationId = newApplication();
      await putToken(applicationId, newToken(), { receivedAt: ago(200) });
      await putProfile(applicationId);

      expect(await sent(named(applicationId))).toEqual({
        typeCode: 'ApplicationStatusUpdate',
        candidateApplicationProfileId: PROFILE_ID,
        current: SENT_STATE,
      });
    });

    it('recorded again → replaces the earlier one', async () => {
      const { putProfile, sent } = await setup();
      const applicationId = newApplication();
      await putProfile(applicationId, `${PROFILE_ID}-before`);
      await putProfile(applicationId);

      expect(await sent(named(applicationId))).toMatchObject({
        candidateApplicationProfileId: PROFILE_ID,
      });
    });

    it('recorded after the signal was skipped → the same signal is tried again and delivered', async () => {
      const { putProfile, send, until, seek } = await setup();
      const applicationId = newApplication();
      const signal = named(applicationId);
      const { signalId } = await send(signal);
      expect(await until(signalId, 'skipped')).toMatchObject({ reason: 'no-token' });

      await putProfile(applicationId);

      expect(await send(signal)).toEqual({ signalId, duplicate: false, state: 'waiting' });
      await until(signalId, 'delivered');
      expect(seek.inputs()).toEqual([
        expect.objectContaining({ candidateApplicationProfileId: PROFILE_ID }),
      ]);
    });
  });

  describe('a position', () => {
    const filled = (positionId: string, change: object = {}) =>
      buildPositionStatusUpdate({ positionProfileIds: undefined, positionId, ...change });

    it.each([
      ['a list', POSITIONS, POSITIONS],
      ['a string', POSITIONS[0], [POSITIONS[0]]],
    ])('recorded with %s → the profiles go in place of positionId', async (_, given, sentIds) => {
      const { putPosition, sent } = await setup();
      const positionId = newPosition();
      await putPosition(positionId, given);

      expect(await sent(filled(positionId))).toEqual({
        typeCode: 'PositionStatusUpdate',
        positionProfileIds: sentIds,
        current: SENT_STATE,
      });
    });

    it('of which nothing is recorded → is skipped, and delivered when sent again after recording', async () => {
      const { putPosition, send, until, seek } = await setup();
      const positionId = newPosition();
      const { signalId } = await send(filled(positionId));
      expect(await until(signalId, 'skipped')).toMatchObject({
        reason: 'not-advertised',
        positionId,
      });
      expect(seek.requests).toEqual([]);

      await putPosition(positionId);

      expect(await send(filled(positionId))).toEqual({
        signalId,
        duplicate: false,
        state: 'waiting',
      });
      expect(await until(signalId, 'delivered')).toMatchObject({ positionId });
      expect(seek.inputs()).toEqual([expect.objectContaining({ positionProfileIds: POSITIONS })]);
    });

    it('beside an application → one status update carries both', async () => {
      const { putPosition, putProfile, sent } = await setup();
      const [applicationId, positionId] = [newApplication(), newPosition()];
      await putProfile(applicationId);
      await putPosition(positionId);

      expect(await sent({ ...named(applicationId), positionId })).toEqual({
        typeCode: 'ApplicationStatusUpdate',
        candidateApplicationProfileId: PROFILE_ID,
        positionProfileIds: POSITIONS,
        current: SENT_STATE,
      });
    });

    it('of which nothing is recorded, beside a known application → goes without the position', async () => {
      const { putToken, sent } = await setup();
      const [applicationId, token] = [newApplication(), newToken()];
      await putToken(applicationId, token);

      expect(await sent({ ...named(applicationId), positionId: newPosition() })).toEqual({
        typeCode: 'ApplicationStatusUpdate',
        token,
        current: SENT_STATE,
      });
    });

    it('as a dead letter → is found and filtered by positionId', async () => {
      const { putPosition, send, untilDeadLettered, deadLetters, get } = await setup({
        answers: () => refused('FORBIDDEN'),
      });
      const positionId = newPosition();
      await putPosition(positionId);
      const { signalId } = await send(filled(positionId));
      expect(await untilDeadLettered(signalId)).toMatchObject({ positionId });

      const query = (id: string) => `?positionProfileId=${encodeURIComponent(id)}`;
      expect(await deadLetters(query(positionId))).toMatchObject([{ signalId, positionId }]);
      expect(await deadLetters(query(newPosition()))).toEqual([]);
      expect(await get(`/signals${query(positionId)}`)).toMatchObject({ signals: [{ signalId }] });
    });
  });

  describe('of several seek tokens', () => {
    it.each([
      ['linkOut', 'applyWithSeek'],
      ['applyWithSeek', 'linkOut'],
    ])('%s and a newer one from %s → the newer one is sent', async (older, newer) => {
      const { putToken, sent } = await setup();
      const [applicationId, before, after] = [newApplication(), newToken(), newToken()];
      await putToken(applicationId, after, { source: newer, receivedAt: ago(1) });
      await putToken(applicationId, before, { source: older, receivedAt: ago(2) });

      expect(await sent(named(applicationId))).toMatchObject({ token: after });
    });

    it('the older one seen again → is no newer', async () => {
      const { putToken, sent } = await setup();
      const [applicationId, original, authorised] = [newApplication(), newToken(), newToken()];
      await putToken(applicationId, original, { receivedAt: ago(2) });
      await putToken(applicationId, authorised, { source: 'applyWithSeek', receivedAt: ago(1) });
      await putToken(applicationId, original);

      expect(await sent(named(applicationId))).toMatchObject({ token: authorised });
    });
  });

  describe('ApplicationComplete', () => {
    it('with a timestamp → it is sent', async () => {
      const { sent } = await setup();
      const token = newToken();

      expect(await sent(buildApplicationComplete({ token, timestamp: COMPLETED_AT }))).toEqual({
        typeCode: 'ApplicationComplete',
        token,
        timestamp: COMPLETED_AT,
      });
    });

    it('without a timestamp → the time of acceptance is sent, the same after a retry and a redrive', async () => {
      const { seek, send, until, untilDeadLettered, redrive } = await setup({
        answers: [
          refused('INTERNAL_SERVER_ERROR'),
          refused('FORBIDDEN'),
          json({ data: { sendSignal: true } }),
        ],
      });
      const signal = buildApplicationComplete({ token: newToken(), timestamp: undefined });
      const { signalId } = await send(signal);
      const { acceptedAt } = await untilDeadLettered(signalId);
      expect(await redrive(signalId)).toBe(202);
      await until(signalId, 'delivered');

      const expected = { ...signal, timestamp: acceptedAt };
      expect(seek.inputs()).toEqual([expected, expected, expected]);
    });

    it('without a timestamp, sent again → is a duplicate, though the time has passed', async () => {
      const { send, sent, seek } = await setup();
      const signal = buildApplicationComplete({ token: newToken(), timestamp: undefined });
      await sent(signal);

      expect(await send(signal)).toMatchObject({ duplicate: true, state: 'delivered' });
      expect(seek.inputs()).toHaveLength(1);
    });
  });

  it('an erasure → removes the profile and skips the signals that carry its id', async () => {
    const { putProfile, send, erase, find, stored, call } = await setup({ workers: 0 });
    const applicationId = newApplication();
    const [former, profile] = [`${PROFILE_ID}-former`, `${PROFILE_ID}-present`];
    await putProfile(applicationId, former);
    await putProfile(applicationId, profile);
    const ofProfile = (candidateApplicationProfileId: string) =>
      send({ ...named(applicationId), applicationId: undefined, candidateApplicationProfileId });
    const waiting = [
      await send({ ...named(applicationId), positionId: newPosition() }),
      await ofProfile(former),
      await ofProfile(profile),
    ];
    const other = await ofProfile(`${PROFILE_ID}-of-another`);

    expect(await erase(applicationId)).toBe(204);

    expect((await call('GET', profilePath(applicationId))).status).toBe(404);
    for (const { signalId } of waiting) {
      const record = await find(signalId);
      expect(record).toMatchObject({ state: 'skipped', reason: 'application-erased' });
      expect(record).not.toHaveProperty('positionId');
      expect(await stored(signalId)).not.toContain('candidateApplicationProfile:');
    }
    expect(await find(other.signalId)).toMatchObject({ state: 'waiting' });
  });
});
