import type { Logger } from '../observability/logger.ts';
import { withDeadline } from '../runtime/async.ts';
import type { InvalidFields } from '../schemas/invalidFields.ts';
import { isObject } from '../schemas/json.ts';
import type { Positions } from '../seekTokens/positions.ts';
import type { SeekTokens } from '../seekTokens/registry.ts';
import { ENQUEUE_TIMEOUT_MS } from './enqueue.ts';
import { InvalidIdentifierError, InvalidSeekTokenError, QueueUnavailableError } from './errors.ts';
import { parseCandidateApplicationProfile, parsePosition } from './parseRecording.ts';
import type { RecordSeekToken } from './recordSeekToken.ts';

/** One recording among many: recorded, or refused with every problem by JSON pointer. */
export type RecordingResult = { warnings?: string[] } | { invalidFields: InvalidFields };

type Deps = {
  recordSeekToken: RecordSeekToken;
  seekTokens: Pick<SeekTokens, 'recordCandidateApplicationProfile'>;
  positions: Pick<Positions, 'record'>;
  /** Resolves once the configured replicas have everything written since that time. */
  waitForReplicas: (since: number) => Promise<void>;
  deadlineMs?: number;
  logger: Logger;
};

// Recordings of one group run at the same time, under one time limit.
const MAX_GROUP = 50;

/** Records what SEEK's identifiers an application or a position has. */
export const createRecordIdentifiers = ({
  recordSeekToken,
  seekTokens,
  positions,
  waitForReplicas,
  deadlineMs = ENQUEUE_TIMEOUT_MS,
  logger,
}: Deps) => {
  const write = async (record: () => Promise<unknown>): Promise<void> => {
    const since = performance.now();
    const unavailable = (cause?: unknown) => new QueueUnavailableError({ cause });
    const writing = record()
      .then(() => waitForReplicas(since))
      .catch((cause: unknown) => {
        throw unavailable(cause);
      });
    await withDeadline(writing, deadlineMs, unavailable);
  };

  const recordCandidateApplicationProfile = async (input: unknown): Promise<void> => {
    const { applicationId, candidateApplicationProfileId } =
      parseCandidateApplicationProfile(input);
    await write(() =>
      seekTokens.recordCandidateApplicationProfile(applicationId, candidateApplicationProfileId),
    );
    logger.info({ applicationId }, 'candidateApplicationProfile.recorded');
  };

  const recordPosition = async (input: unknown): Promise<void> => {
    const { positionId, positionProfileIds } = parsePosition(input);
    await write(() => positions.record(positionId, positionProfileIds));
    logger.info({ positionId, positionProfiles: positionProfileIds.length }, 'position.recorded');
  };

  const recordOne = async (input: unknown): Promise<RecordingResult> => {
    try {
      if (isObject(input) && 'positionId' in input) await recordPosition(input);
      else if (isObject(input) && 'candidateApplicationProfileId' in input) {
        await recordCandidateApplicationProfile(input);
      } else return await recordSeekToken(input);
      return {};
    } catch (err) {
      if (err instanceof InvalidIdentifierError || err instanceof InvalidSeekTokenError) {
        return { invalidFields: err.invalidFields };
      }
      throw err;
    }
  };

  /** One result each, in order. Rejects if the queue does not acknowledge: repeat all of them. */
  const recordMany = async (inputs: readonly unknown[]): Promise<RecordingResult[]> => {
    const results: RecordingResult[] = [];
    for (let from = 0; from < inputs.length; from += MAX_GROUP) {
      results.push(...(await recordGroup(inputs.slice(from, from + MAX_GROUP))));
    }
    return results;
  };

  /** At the same time, but those of one position in order: its last recording counts. */
  const recordGroup = (group: readonly unknown[]): Promise<RecordingResult[]> => {
    const last = new Map<unknown, Promise<unknown>>();
    return Promise.all(
      group.map((input) => {
        const id = isObject(input) ? (input.positionId ?? input.applicationId) : undefined;
        const recording = Promise.resolve(last.get(id)).then(() => recordOne(input));
        if (id !== undefined) last.set(id, recording);
        return recording;
      }),
    );
  };

  return { recordCandidateApplicationProfile, recordPosition, recordMany };
};

export type RecordIdentifiers = ReturnType<typeof createRecordIdentifiers>;
