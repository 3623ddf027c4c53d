import type { Logger } from '../observability/logger.ts';
import type { ExplainFailure } from '../queue/failure.ts';
import type { InvalidFields } from '../schemas/invalidFields.ts';
import type { CandidateApplicationProfileInput } from '../schemas/recordedIdentifiers.ts';
import type { Positions } from '../seekTokens/positions.ts';
import type { SeekTokens } from '../seekTokens/registry.ts';
import { orUnavailable } from './available.ts';
import { ENQUEUE_TIMEOUT_MS } from './enqueue.ts';
import { InvalidIdentifierError, InvalidSeekTokenError } from './errors.ts';
import {
  type PositionRecording,
  parseCandidateApplicationProfile,
  parsePosition,
  parseRecording,
  type Recording,
} from './parseRecording.ts';
import type { RecordSeekToken } from './recordSeekToken.ts';

/** One recording among many: recorded, or refused with every problem by JSON pointer. */
export type RecordingResult = { warnings?: string[] } | { invalidFields: InvalidFields };

type Deps = {
  recordSeekToken: RecordSeekToken;
  seekTokens: Pick<
    SeekTokens,
    'recordCandidateApplicationProfile' | 'removeCandidateApplicationProfile'
  >;
  positions: Pick<Positions, 'record' | 'remove'>;
  /** Resolves once the configured replicas have everything written since that time. */
  waitForReplicas: (since: number) => Promise<void>;
  explainFailure: ExplainFailure;
  deadlineMs?: number;
  logger: Logger;
  now?: () => number;
};

// Recordings of one group run at the same time, under one time limit.
const MAX_GROUP = 50;

/** Records and removes what identifies an application or a position to SEEK. */
export const createRecordIdentifiers = ({ now = Date.now, ...deps }: Deps) => {
  const { recordSeekToken, seekTokens, positions, logger } = deps;
  const write = createWrite(deps);

  const recordProfile = async ({
    applicationId,
    candidateApplicationProfileId: id,
  }: CandidateApplicationProfileInput): Promise<{ warnings?: string[] }> => {
    const { sharedWith, erasedSince } = await write(() =>
      seekTokens.recordCandidateApplicationProfile(applicationId, id),
    );
    if (erasedSince) {
      logger.warn({ applicationId }, 'candidateApplicationProfile.rejectedAsErased');
      return { warnings: ['/applicationId: the application was erased; nothing was recorded'] };
    }
    if (sharedWith === undefined) {
      logger.info({ applicationId }, 'candidateApplicationProfile.recorded');
      return {};
    }
    logger.warn({ applicationId, sharedWith }, 'candidateApplicationProfile.shared');
    return {
      warnings: [
        `/candidateApplicationProfileId: was recorded for another application before (${sharedWith})`,
      ],
    };
  };

  const recordPosition = async (recording: PositionRecording): Promise<void> => {
    const { positionId, positionProfileIds } = recording;
    await write(() => positions.record(positionId, positionProfileIds));
    logger.info({ positionId, positionProfiles: positionProfileIds.length }, 'position.recorded');
  };

  const recordOne = async (recording: Recording): Promise<RecordingResult> => {
    if ('candidateApplicationProfileId' in recording) return recordProfile(recording);
    if ('token' in recording) return recordSeekToken(recording);
    await recordPosition(recording);
    return {};
  };

  /** At the same time, but recordings of one id in order: the last one counts. */
  const recordGroup = (group: readonly Parsed[]): Promise<RecordingResult[]> => {
    const previous = new Map<string, Promise<unknown>>();
    return Promise.all(
      group.map((parsed) => {
        if ('invalidFields' in parsed) return parsed;
        const id = idOf(parsed);
        const recording = Promise.resolve(previous.get(id)).then(() => recordOne(parsed));
        previous.set(id, recording);
        return recording;
      }),
    );
  };

  return {
    recordCandidateApplicationProfile: async (input: unknown) =>
      recordProfile(parseCandidateApplicationProfile(input)),

    recordPosition: async (input: unknown): Promise<void> => recordPosition(parsePosition(input)),

    /** One result each, in order. Rejects if the queue does not acknowledge: repeat all of them. */
    recordMany: async (inputs: readonly unknown[]): Promise<RecordingResult[]> => {
      // Reads all inputs before the first wait: the caller may change its objects after the call.
      const parsed = inputs.map((input) => tryParse(input, now()));
      const results: RecordingResult[] = [];
      for (let from = 0; from < parsed.length; from += MAX_GROUP) {
        results.push(...(await recordGroup(parsed.slice(from, from + MAX_GROUP))));
      }
      return results;
    },

    removeCandidateApplicationProfile: (applicationId: string): Promise<void> =>
      write(() => seekTokens.removeCandidateApplicationProfile(applicationId)),

    removePosition: (positionId: string): Promise<void> =>
      write(() => positions.remove(positionId)),
  };
};

export type RecordIdentifiers = ReturnType<typeof createRecordIdentifiers>;

type Parsed = Recording | { invalidFields: InvalidFields };

const tryParse = (input: unknown, now: number): Parsed => {
  try {
    return parseRecording(input, now);
  } catch (err) {
    if (err instanceof InvalidIdentifierError || err instanceof InvalidSeekTokenError) {
      return { invalidFields: err.invalidFields };
    }
    throw err;
  }
};

const idOf = (recording: Recording): string =>
  'positionId' in recording
    ? `position ${recording.positionId}`
    : `application ${recording.applicationId}`;

/** Writes within the time limit, and waits for the replicas. */
const createWrite =
  ({
    waitForReplicas,
    explainFailure,
    deadlineMs = ENQUEUE_TIMEOUT_MS,
  }: Pick<Deps, 'waitForReplicas' | 'explainFailure' | 'deadlineMs'>) =>
  <Result>(run: () => Promise<Result>): Promise<Result> => {
    const writeAndReplicate = async () => {
      const since = performance.now();
      const result = await run();
      await waitForReplicas(since);
      return result;
    };
    return orUnavailable(writeAndReplicate(), deadlineMs, explainFailure);
  };
