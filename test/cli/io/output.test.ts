import { printMessage, printResult, printText } from '../../../src/cli/io/output.ts';
import { renderSignal, renderSignals, renderStatus } from '../../../src/cli/io/render.ts';
import {
  renderCounts,
  renderDeadLetter,
  renderDeadLetters,
  renderRedrivePreview,
} from '../../../src/cli/io/renderDeadLetters.ts';

const { jest } = import.meta;

const HOSTILE = 'no\u001b[31m\u001b]0;pwned\u0007\u009b2J\u202e\nstate: delivered';
const CONTROLS = /(?!\n)[\p{Cc}\u202a-\u202e\u2066-\u2069]/u;
const AT = '2026-03-01T10:00:00.000Z';
const ID = '5b1f6c1e-0000-5000-8000-000000000001';

const capture = (print: () => void) => {
  let written = '';
  const take = (text: string | Uint8Array) => {
    written += String(text);
    return true;
  };
  const spies = [process.stdout, process.stderr].map((stream) =>
    jest.spyOn(stream, 'write').mockImplementation(take),
  );
  print();
  for (const spy of spies) spy.mockRestore();
  return written;
};

const attempt = {
  at: AT,
  requestId: HOSTILE,
  outcome: 'dead' as const,
  code: HOSTILE,
  reason: HOSTILE,
  durationMs: 3,
};
const record = {
  signalId: ID,
  typeCode: HOSTILE,
  state: 'dead' as const,
  acceptedAt: AT,
  acceptedFrom: HOSTILE,
  attempts: [attempt],
  redrives: 1,
  redriveLog: [{ at: AT, by: HOSTILE }],
  reason: HOSTILE,
  applicationId: HOSTILE,
  positionProfileIds: [HOSTILE],
  lastDeferral: { at: AT, code: HOSTILE, reason: HOSTILE },
};
const deadLetter = { ...record, diedAt: AT, code: HOSTILE };
const status = {
  counts: { waiting: 1, active: 0, retrying: 0, dead: 0, delivered: 0, skipped: 0 },
  backlog: 1,
  workers: 0,
  delivery: {
    state: 'suspended' as const,
    since: AT,
    seconds: 3,
    code: HOSTILE,
    reason: HOSTILE,
    nextProbeAt: AT,
  },
};

describe('the result of a command', () => {
  it.each([
    ['show', () => printResult(record, {}, renderSignal)],
    ['find', () => printResult([record], {}, renderSignals)],
    ['status', () => printResult(status, {}, renderStatus)],
    ['dead-letters show', () => printResult(deadLetter, {}, renderDeadLetter)],
    ['dead-letters list', () => printResult([deadLetter], {}, renderDeadLetters)],
    [
      'dead-letters counts',
      () => {
        const group = { count: 1, code: HOSTILE, typeCode: HOSTILE, firstAt: AT, lastAt: AT };
        printResult([{ ...group, reason: HOSTILE }], {}, renderCounts);
      },
    ],
    [
      'dead-letters redrive --dry-run',
      () => {
        const refusal = { count: 1, pointer: HOSTILE, message: HOSTILE, example: ID };
        const preview = {
          wouldRedrive: 1,
          invalid: 1,
          refusals: [refusal],
          samples: [deadLetter],
        };
        printResult(preview, {}, renderRedrivePreview);
      },
    ],
    ['--json', () => printResult(record, { json: true }, renderSignal)],
    ['a message', () => printMessage(HOSTILE, `${ID}: ${HOSTILE}`)],
    ['a text', () => printText('as\u001b[31m it\u009b is\n')],
  ])('%s with control characters from outside → none of them, and no colour', (_, print) => {
    const written = capture(print);

    expect(written).not.toMatch(CONTROLS);
    expect(written).toMatch(/\S/);
  });

  it('a line break in a text from outside → no line of its own', () => {
    const shown = capture(() => printResult(record, {}, renderSignal));
    const said = capture(() => printMessage(HOSTILE));

    expect(shown + said).not.toMatch(/^state: delivered/m);
  });
});
