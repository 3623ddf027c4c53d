import type { DeadLetterCount, DeadLetterView } from '../../deadLetters/deadLetters.ts';
import type { RedrivePreview } from '../../deadLetters/redriveMany.ts';
import {
  columns,
  renderAttempts,
  renderRedrives,
  renderReferences,
  renderState,
  times,
} from './render.ts';

export const renderDeadLetter = (deadLetter: DeadLetterView): string =>
  [
    `${deadLetter.typeCode} ${deadLetter.signalId}`,
    `${renderState('dead')} since ${deadLetter.diedAt}: ${deadLetter.code}: ${deadLetter.reason}`,
    `accepted: ${deadLetter.acceptedAt}${deadLetter.redrives > 0 ? `, redriven ${times(deadLetter.redrives)}` : ''}`,
    ...renderReferences(deadLetter),
    ...renderRedrives(deadLetter.redriveLog),
    '',
    renderAttempts(deadLetter.attempts),
  ].join('\n');

export const renderCounts = (counts: DeadLetterCount[]): string =>
  counts.length === 0
    ? 'no dead letters'
    : columns(
        counts.map(({ count, code, typeCode, firstAt, lastAt, reason }) => [
          String(count),
          code,
          typeCode,
          firstAt,
          lastAt,
          reason,
        ]),
        ['count', 'code', 'type', 'first', 'last', 'last reason'],
      );

export const renderRedrivePreview = ({
  wouldRedrive,
  invalid,
  refusals,
  samples,
}: RedrivePreview): string =>
  [
    `would redrive ${wouldRedrive}`,
    ...(samples.length === 0
      ? []
      : [
          columns(
            samples.map(({ signalId, typeCode, diedAt, code, reason }) => [
              signalId,
              typeCode,
              diedAt,
              code,
              reason,
            ]),
            ['example', 'type', 'died', 'code', 'reason'],
          ),
        ]),
    ...(invalid === 0
      ? []
      : [
          `would reject ${invalid}: their signals would fail validation today`,
          columns(
            refusals.map(({ count, pointer, message, example }) => [
              String(count),
              pointer,
              message,
              example,
            ]),
            ['count', 'field', 'problem', 'example'],
          ),
        ]),
  ].join('\n');

export const renderDeadLetters = (deadLetters: DeadLetterView[]): string =>
  deadLetters.length === 0
    ? 'no dead letters'
    : columns(
        deadLetters.map(({ signalId, typeCode, diedAt, code, reason, redrives }) => [
          signalId,
          typeCode,
          diedAt,
          String(redrives),
          code,
          reason,
        ]),
        ['signal', 'type', 'died', 'redrives', 'code', 'reason'],
      );
