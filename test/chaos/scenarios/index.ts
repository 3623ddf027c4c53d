import type { Scenario } from '../scenario.ts';
import { faults, faultsInBatches } from './faults.ts';
import { outboxKilled, outboxWiped } from './outbox.ts';
import { poisonSignal } from './poison.ts';
import { rateLimited } from './rateLimited.ts';
import { redisFrozen, redisHalfOpen, redisKilled, redisUnreachable } from './redis.ts';
import { redriveKilled } from './redrive.ts';
import { seekDown, seekHalfOpen, seekSlow, tokensDown } from './seek.ts';
import { splitBrainReplicated, splitBrainUnreplicated } from './splitBrain.ts';
import { sweeperKilled } from './sweeper.ts';
import { seekTokensKept } from './tokens.ts';
import { producerKilled, rollingDeploy, workerKilled, workerStopped } from './workers.ts';

/** The longest first: while they wait for locks, the others can use the machine. */
export const SCENARIOS: readonly Scenario[] = [
  poisonSignal,
  redisUnreachable,
  splitBrainUnreplicated,
  splitBrainReplicated,
  redriveKilled,
  redisHalfOpen,
  workerKilled,
  redisFrozen,
  workerStopped,
  sweeperKilled,
  seekDown,
  tokensDown,
  rateLimited,
  faults,
  faultsInBatches,
  rollingDeploy,
  redisKilled,
  seekSlow,
  seekHalfOpen,
  producerKilled,
  seekTokensKept,
  outboxKilled,
  outboxWiped,
];
