/** Why signals of an application that was erased are let go of, from the queue or the dead letters. */
export const ERASED = 'application-erased';

const DISCARDED = /^discarded at \S+(?: by .+?)?: /;

/** As it is told of a signal that was discarded. */
export const discardReason = (at: Date, reason: string, by?: string): string =>
  `discarded at ${at.toISOString()}${by === undefined ? '' : ` by ${by}`}: ${reason}`;

/** Whether somebody decided so who may think better of it: not where it was to be erased. */
export const mayComeBack = (reason = ''): boolean =>
  DISCARDED.test(reason) && reason.replace(DISCARDED, '') !== ERASED;
