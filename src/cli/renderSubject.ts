import type { SignalSubject } from '../schemas/states.ts';

/** Whose it is, a line each. */
export const renderSubject = ({
  applicationId,
  candidateApplicationProfileId: profile,
  positionProfileIds,
}: SignalSubject): string[] => [
  ...(applicationId === undefined ? [] : [`application: ${applicationId}`]),
  ...(profile === undefined ? [] : [`candidate application profile: ${profile}`]),
  ...(positionProfileIds === undefined ? [] : [`position: ${positionProfileIds.join(', ')}`]),
];
