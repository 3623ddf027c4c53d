import type { PositionStore } from '../queue/backend.ts';
import { parseJson } from '../schemas/json.ts';
import { type PositionRecord, PositionRecordSchema } from '../schemas/recordedIdentifiers.ts';

export type PositionView = {
  positionId: string;
  positionProfileIds: string[];
  recordedAt: string;
};

type Deps = { store: PositionStore; now?: () => number };

/** Which position profiles of SEEK each position of the ATS has. The last recording replaces all earlier ones. */
export const createPositions = ({ store, now = Date.now }: Deps) => ({
  /** Resolves once the store has acknowledged the write. */
  record: (positionId: string, positionProfileIds: string[]): Promise<void> => {
    const record: PositionRecord = {
      version: 1,
      positionProfileIds,
      recordedAt: new Date(now()).toISOString(),
    };
    return store.write(positionId, JSON.stringify(record));
  },

  /** `undefined`: never recorded, or removed. Throws if the record cannot be read. */
  find: async (positionId: string): Promise<PositionView | undefined> => {
    const text = await store.read(positionId);
    if (text === undefined) return undefined;
    const read = PositionRecordSchema.safeParse(parseJson(text));
    // Reading it as "never recorded" would skip signals that SEEK wants.
    if (!read.success) {
      throw new Error('Stored position: expected version 1, found another format');
    }
    const { positionProfileIds, recordedAt } = read.data;
    return { positionId, positionProfileIds, recordedAt };
  },

  /** Idempotent. */
  remove: store.remove,
});

export type Positions = ReturnType<typeof createPositions>;
