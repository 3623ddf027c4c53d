import type { SignalRecord } from '../../src/schemas/signalRecord.ts';
import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSignal,
} from '../support/buildSignal.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { refused } from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';
import { waitFor } from '../support/waitFor.ts';

let made = 0;
const newName = (): string => {
  made += 1;
  return `name ${made}/ü`;
};
const complete = () => buildApplicationComplete({ token: newToken() });

describe.each(PLATFORMS)('a search for signals on $name', ({ start }) => {
  const { setup: setupPlatform } = usePlatform(start);

  const setup = async (options: Parameters<typeof setupPlatform>[0] = {}) => {
    const dispatcher = await setupPlatform(options);
    return {
      ...dispatcher,
      search: async (query: Record<string, string>): Promise<SignalRecord[]> =>
        (
          await dispatcher.get<{ signals: SignalRecord[] }>(
            `/signals?${new URLSearchParams(query)}`,
          )
        ).signals,
    };
  };

  it('by application or position → the signals that name it, newest first', async () => {
    const { send, search } = await setup({ workers: 0 });
    const [applicationId, position, other] = [newName(), newName(), newName()];
    const ofApplication = await send(buildApplicationComplete({ token: undefined, applicationId }));
    const first = await send(buildPositionStatusUpdate({ positionProfileIds: [position, other] }));
    const since = Date.now();
    await waitFor(() => Date.now() > since);
    const second = await send(buildPositionStatusUpdate({ positionProfileIds: [position] }));
    const ids = async (query: Record<string, string>) =>
      (await search(query)).map(({ signalId }) => signalId);

    expect(await ids({ applicationId })).toEqual([ofApplication.signalId]);
    expect(await ids({ positionProfileId: position })).toEqual([second.signalId, first.signalId]);
    expect(await ids({ positionProfileId: position, limit: '1' })).toEqual([second.signalId]);
    expect(await ids({ positionProfileId: other })).toEqual([first.signalId]);
    expect(await ids({ positionProfileId: newName() })).toEqual([]);
  });

  it('by Idempotency-Key → the signal, if the API key’s name matches', async () => {
    const { send, search } = await setup({ workers: 0 });
    const idempotencyKey = newName().replace('ü', 'u');
    const { signalId } = await send(complete(), { 'idempotency-key': idempotencyKey });

    expect(await search({ idempotencyKey })).toMatchObject([{ signalId, acceptedFrom: 'ats' }]);
    expect(await search({ idempotencyKey, from: 'ats' })).toHaveLength(1);
    expect(await search({ idempotencyKey, from: 'another' })).toEqual([]);
  });

  it('by request id → every signal of the batch', async () => {
    const { sendAll, search, until } = await setup({
      env: { BATCH_SIZE: '10', BATCH_LINGER_MS: '50' },
    });
    const accepted = await sendAll(Array.from({ length: 6 }, complete));
    const lookup = await Promise.all(accepted.map(({ signalId }) => until(signalId, 'delivered')));

    for (const { signalId, attempts } of lookup) {
      const requestId = attempts[0]?.requestId ?? '';
      const together = lookup.filter((record) => record.attempts[0]?.requestId === requestId);
      const found = await waitFor(async () => {
        const signals = await search({ requestId });
        return signals.length === together.length && signals;
      });
      expect(found.map((record) => record.signalId)).toContain(signalId);
    }
  });

  it('by a search key that the index has lost → dead letters are still found', async () => {
    const { send, search, untilDeadLettered, backend } = await setup({
      answers: () => refused('FORBIDDEN'),
    });
    const position = newName();
    const { signalId } = await send(buildPositionStatusUpdate({ positionProfileIds: [position] }));
    const { attempts } = await untilDeadLettered(signalId);
    await backend.index.removeKey({ kind: 'position', value: position });

    const dead = [expect.objectContaining({ signalId, state: 'dead', acceptedFrom: 'ats' })];
    expect(await search({ positionProfileId: position })).toEqual(dead);
    expect(await search({ requestId: attempts[0]?.requestId ?? '' })).toEqual(dead);
  });

  it('by an erased application → nothing', async () => {
    const { send, search, call, until } = await setup({ workers: 0 });
    const applicationId = newName();
    const { signalId } = await send(buildApplicationComplete({ token: undefined, applicationId }));

    await call('DELETE', `/applications/${encodeURIComponent(applicationId)}/seek-token`);

    await until(signalId, 'skipped');
    expect(await search({ applicationId })).toEqual([]);
  });

  it('a signal with a candidate application profile → every record shows it', async () => {
    const { send, find, get, call, untilDeadLettered } = await setup({
      answers: () => refused('FORBIDDEN'),
    });
    const references = { candidateApplicationProfileId: newName() };
    const { signalId } = await send(buildSignal({ token: undefined, ...references }));
    await untilDeadLettered(signalId);

    expect(await find(signalId)).toMatchObject({ state: 'dead', ...references });
    expect(await get(`/dead-letters/${signalId}`)).toMatchObject(references);
    expect(await get('/dead-letters')).toMatchObject({
      deadLetters: [{ signalId, ...references }],
    });

    await call('DELETE', `/dead-letters/${signalId}`);
    expect(await find(signalId)).toMatchObject({ state: 'skipped', ...references });
  });

  it.each([
    ['no parameter', ''],
    ['two search keys', '?requestId=a&applicationId=b'],
    ['an unknown parameter', '?candidate=a'],
    ['an empty value', '?applicationId='],
    ['too high a limit', '?applicationId=a&limit=1001'],
  ])('with %s → 422', async (_, query) => {
    const { call } = await setup({ workers: 0 });
    expect((await call('GET', `/signals${query}`)).status).toBe(422);
  });
});
