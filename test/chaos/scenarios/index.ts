import type { Scenario } from '../scenario.ts';
import { faults, faultsInBatches } from './faults.ts';
import { rateLimited } from './limited.ts';
import { outboxKilled, outboxWiped } from './outbox.ts';
import { deadlySignal } from './poison.ts';
import { redisAway, redisFrozen, redisHalfOpen, redisKilled } from './redis.ts';
import { redriveKilled } from './redrive.ts';
import { seekDown, seekHalfOpen, seekSlow, tokensDown } from './seek.ts';
import { undertakerKilled } from './sweeper.ts';
import { tokensKept } from './tokens.ts';
import { producerKilled, rollingDeploy, workerKilled, workerStopped } from './workers.ts';

/** The longest first: what waits for locks leaves the machine to the others. */
export const SCENARIOS: readonly Scenario[] = [
  ...[deadlySignal, redisAway, redriveKilled, redisHalfOpen, workerKilled, redisFrozen],
  ...[workerStopped, undertakerKilled, seekDown, tokensDown, rateLimited, faults],
  ...[faultsInBatches, rollingDeploy, redisKilled, seekSlow, seekHalfOpen, producerKilled],
  ...[tokensKept, outboxKilled, outboxWiped],
];
