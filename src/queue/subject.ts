import { isObject } from '../schemas/isObject.ts';
import type { SignalSubject } from '../schemas/states.ts';
import { traitsOf } from './signalIndex.ts';

/** What a signal is about, as far as it may be told: to be spread into what is told of it. Whatever version wrote it. */
export const subjectOf = (data: unknown): SignalSubject => {
  const signal = isObject(data) ? data.signal : undefined;
  const traits = traitsOf(signal);
  const of = (kind: 'application' | 'position') =>
    traits.filter((trait) => trait.kind === kind).map(({ value }) => value);
  const [applicationId] = of('application');
  // Told, and yet no trait: nothing is looked for by it.
  const profile = isObject(signal) ? signal.candidateApplicationProfileId : undefined;
  const positionProfileIds = of('position');
  return {
    ...(applicationId === undefined ? {} : { applicationId }),
    ...(typeof profile === 'string' ? { candidateApplicationProfileId: profile } : {}),
    ...(positionProfileIds.length === 0 ? {} : { positionProfileIds }),
  };
};
