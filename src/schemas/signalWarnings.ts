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

/**
 * `success: false` tells SEEK that the process ended without a placement (developer.seek.com, "Data
 * structure"). Before the last status it is probably meant as "not yet", for which SEEK expects `null`.
 */
const endWarnings = (state: State | undefined, pointer: string): string[] => {
  if (state?.success !== false) return [];
  const isLast = ({ index, total }: State['status']) => index >= total;
  return isLast(state.status) || (state.phase !== undefined && isLast(state.phase))
    ? []
    : [
        `${pointer}/success: is false before the last status; null means that the process continues`,
      ];
};

const orderWarnings = ({ current, previous }: Signal): string[] =>
  current !== undefined &&
  previous !== undefined &&
  Date.parse(previous.timestamp) > Date.parse(current.timestamp)
    ? ['/previous/timestamp: is later than that of current']
    : [];

/** Values that SEEK accepts but that are probably mistakes. Each text begins with a JSON pointer. */
export const warningsFor = (
  signal: Signal,
  { audience, isModelled = false }: { audience: string; isModelled?: boolean | undefined },
): string[] => [
  ...(['current', 'previous'] as const).flatMap((name) => [
    ...rankWarnings(signal[name]?.phase, `/${name}/phase`),
    ...rankWarnings(signal[name]?.status, `/${name}/status`),
    ...(isModelled ? [] : endWarnings(signal[name], `/${name}`)),
  ]),
  ...orderWarnings(signal),
  // The live environment answers these with UNAUTHENTICATED (developer.seek.com, "Playground environment").
  ...(audience === LIVE_AUDIENCE &&
  [signal.token, signal.candidateApplicationProfileId, ...(signal.positionProfileIds ?? [])].some(
    (value) => value !== undefined && DOCUMENTATION_TOKEN.test(value),
  )
    ? ['/: holds a value from SEEK’s public test data, which the live environment rejects']
    : []),
];
