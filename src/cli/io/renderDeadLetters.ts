import type { LetterCount, LetterView } from '../../deadLetters/deadLetters.ts';
import type { Rehearsal } from '../../deadLetters/redriveMany.ts';
import {
  columns,
  renderAttempts,
  renderRedrives,
  renderState,
  renderSubject,
  times,
} from './render.ts';

export const renderLetter = (letter: LetterView): string =>
  [
    `${letter.typeCode} ${letter.signalId}`,
    `${renderState('dead')} since ${letter.diedAt}: ${letter.code}: ${letter.reason}`,
    `accepted: ${letter.acceptedAt}${letter.redrives > 0 ? `, redriven ${times(letter.redrives)}` : ''}`,
    ...renderSubject(letter),
    ...renderRedrives(letter.redriveLog),
    '',
    renderAttempts(letter.attempts),
  ].join('\n');

export const renderCounts = (counts: LetterCount[]): string =>
  counts.length === 0
    ? 'no dead letters'
    : columns(
        counts.map(({ count, code, typeCode, firstAt, lastAt, reason }) => [
          ...[String(count), code, typeCode, firstAt, lastAt, reason],
        ]),
        ['letters', 'code', 'type', 'first', 'last', 'reason of the last'],
      );

export const renderRehearsal = ({ wouldRedrive, invalid, refusals, samples }: Rehearsal): string =>
  [
    `would redrive ${wouldRedrive}`,
    ...(samples.length === 0
      ? []
      : [
          columns(
            samples.map(({ signalId, typeCode, diedAt, code, reason }) => [
              ...[signalId, typeCode, diedAt, code, reason],
            ]),
            ['such as', 'type', 'died', 'code', 'reason'],
          ),
        ]),
    ...(invalid === 0
      ? []
      : [
          `would refuse ${invalid}: they would not be accepted today`,
          columns(
            refusals.map(({ count, pointer, message, example }) => [
              ...[String(count), pointer, message, example],
            ]),
            ['letters', 'field', 'problem', 'such as'],
          ),
        ]),
  ].join('\n');

export const renderLetters = (letters: LetterView[]): string =>
  letters.length === 0
    ? 'no dead letters'
    : columns(
        letters.map(({ signalId, typeCode, diedAt, code, reason, redrives }) => [
          signalId,
          typeCode,
          diedAt,
          String(redrives),
          code,
          reason,
        ]),
        ['signal', 'type', 'died', 'redrives', 'code', 'reason'],
      );
