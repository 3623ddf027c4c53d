import { LIVE_AUDIENCE } from './seekApi.ts';
import type { Signal } from './signal.ts';

const DOCUMENTATION_TOKEN = /^globalPublicTest-/;

type State = NonNullable<Signal['current']>;

const rankWarnings = (rank: State['status'] | undefined, pointer: string): string[] => {
  if (rank === undefined) return [];
  const warnings: string[] = [];
  if (rank.index === 0) warnings.push(`${pointer}/index: is 0; SEEK recommends counting from 1`);
  if (rank.index > rank.total) {
    warnings.push(`${pointer}/index: ${rank.index} is greater than total ${rank.total}`);
  }
  return warnings;
};

/** What SEEK takes but probably was not meant. Each line begins with a JSON pointer. */
export const warningsFor = (signal: Signal, audience: string): string[] => [
  ...(['current', 'previous'] as const).flatMap((name) => [
    ...rankWarnings(signal[name]?.phase, `/${name}/phase`),
    ...rankWarnings(signal[name]?.status, `/${name}/status`),
  ]),
  // SEEK answers these with UNAUTHENTICATED (developer.seek.com, "Playground environment").
  ...(audience === LIVE_AUDIENCE &&
  [signal.token, signal.candidateApplicationProfileId, ...(signal.positionProfileIds ?? [])].some(
    (value) => value !== undefined && DOCUMENTATION_TOKEN.test(value),
  )
    ? ['/: holds a value from SEEK’s public test data, which the live environment refuses']
    : []),
];
