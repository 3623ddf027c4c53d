import { LIVE_AUDIENCE, PLAYGROUND_AUDIENCE } from './seekApi.ts';
import type { Signal } from './signal.ts';

// developer.seek.com, "Playground environment".
const PUBLIC_TEST_DATA = /^(?:globalPublicTest[-:]|seekAnzPublicTest:)/;

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

/** SEEK: "you must pass null" while the process continues (developer.seek.com, "Data structure"). */
const successWarnings = (state: State | undefined, pointer: string): string[] =>
  state !== undefined && state.success === undefined
    ? [`${pointer}/success: is missing; SEEK expects null while the process continues`]
    : [];

const timestampWarnings = ({ typeCode, timestamp }: Signal): string[] =>
  typeCode === 'ApplicationComplete' && timestamp === undefined
    ? ['/timestamp: is missing; the time of acceptance is sent']
    : [];

/** Each environment rejects the data of the other (developer.seek.com, "Playground environment"). */
const environmentWarnings = (signal: Signal, audience: string): string[] => {
  const objectIds = [
    signal.candidateApplicationProfileId,
    ...(signal.positionProfileIds ?? []),
  ].filter((value) => value !== undefined);
  const tokens = signal.token === undefined ? [] : [signal.token];
  const isTestData = (value: string) => PUBLIC_TEST_DATA.test(value);
  if (audience === LIVE_AUDIENCE && [...tokens, ...objectIds].some(isTestData)) {
    return ['/: holds a value from SEEK’s public test data, which the live environment rejects'];
  }
  // Not of tokens: SEEK documents no prefix that all tokens of the Playground have.
  if (audience === PLAYGROUND_AUDIENCE && !objectIds.every(isTestData)) {
    return ['/: holds an identifier that is not public test data, which the Playground rejects'];
  }
  return [];
};

/** Values that SEEK accepts but that are probably mistakes. Each text begins with a JSON pointer. */
export const warningsFor = (
  signal: Signal,
  { audience, isModelled = false }: { audience: string; isModelled?: boolean | undefined },
): string[] => [
  ...(['current', 'previous'] as const).flatMap((name) => [
    ...rankWarnings(signal[name]?.phase, `/${name}/phase`),
    ...rankWarnings(signal[name]?.status, `/${name}/status`),
    ...(isModelled ? [] : endWarnings(signal[name], `/${name}`)),
    ...successWarnings(signal[name], `/${name}`),
  ]),
  ...orderWarnings(signal),
  ...timestampWarnings(signal),
  ...environmentWarnings(signal, audience),
];
