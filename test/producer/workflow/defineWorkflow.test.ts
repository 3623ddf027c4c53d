import { defineWorkflow, WorkflowError } from '../../../src/producer/workflow/defineWorkflow.ts';
import { parse } from '../../schemas/parse.ts';

const AT = '2020-01-02T00:00:00.000Z';
const problemsOf = (work: () => unknown): readonly string[] => {
  try {
    work();
  } catch (err) {
    if (err instanceof WorkflowError) return err.problems;
    throw err;
  }
  return [];
};

describe('a flat workflow', () => {
  const workflow = defineWorkflow({
    steps: [
      'Applied',
      'Interview',
      { label: 'Hired', placed: true },
      { label: 'Unsuccessful', placed: false },
    ],
  });

  it('counts its statuses from 1, and knows how each ends', () => {
    const states = workflow.statuses.map((status) => workflow.state(status, AT));

    expect(states.map(({ status, success }) => [...Object.values(status), success])).toEqual([
      ['Applied', 1, 4, null],
      ['Interview', 2, 4, null],
      ['Hired', 3, 4, true],
      ['Unsuccessful', 4, 4, false],
    ]);
  });

  it('has no phase, not even an empty one', () => {
    expect(workflow.state('Applied', AT)).toEqual({
      status: { label: 'Applied', index: 1, total: 4 },
      success: null,
      timestamp: AT,
    });
  });
});

describe('a workflow with phases', () => {
  const workflow = defineWorkflow({
    steps: [
      { label: 'New', steps: ['Received', 'Reviewed'] },
      { label: 'Interview', steps: ['Phone', 'On site'] },
      { label: 'Hired', placed: true, steps: ['Onboarding', 'Probation', 'Permanent'] },
      {
        label: 'Closed',
        placed: false,
        steps: ['Unsuccessful', { label: 'Talent pool', id: 'pool' }],
      },
    ],
  });

  it('counts statuses over the whole process, and phases beside them', () => {
    expect(workflow.state('On site', AT)).toMatchObject({
      phase: { label: 'Interview', index: 2, total: 4 },
      status: { label: 'On site', index: 4, total: 9 },
    });
    expect(workflow.state('pool', AT)).toMatchObject({
      phase: { label: 'Closed', index: 4, total: 4 },
      status: { label: 'Talent pool', index: 9, total: 9 },
    });
  });

  it.each([
    ['Reviewed', null],
    ['Onboarding', true],
    ['Probation', true],
    ['pool', false],
  ])('says of %s that it is a success: %s', (status, success) => {
    expect(workflow.state(status, AT).success).toBe(success);
  });

  it('makes signals that SEEK takes, to the letter of its sample', () => {
    // developer.seek.com, "Position signals": four phases, six statuses.
    const positions = defineWorkflow({
      steps: [
        { label: 'Draft', steps: ['Drafted'] },
        { label: 'Approval', steps: ['Requested', 'Approved'] },
        { label: 'Open', steps: ['Review'] },
        {
          label: 'Closed',
          steps: [
            { label: 'Filled', placed: true },
            { label: 'Withdrawn', placed: false },
          ],
        },
      ],
    });
    const moved = positions.transition(
      { status: 'Review', at: '2020-01-01T00:00:00.000Z' },
      { status: 'Withdrawn', at: '2020-01-02T00:00:00.000Z' },
    );

    expect(moved).toEqual({
      current: {
        phase: { label: 'Closed', index: 4, total: 4 },
        status: { label: 'Withdrawn', index: 6, total: 6 },
        success: false,
        timestamp: '2020-01-02T00:00:00.000Z',
      },
      previous: {
        phase: { label: 'Open', index: 3, total: 4 },
        status: { label: 'Review', index: 4, total: 6 },
        success: null,
        timestamp: '2020-01-01T00:00:00.000Z',
      },
    });
    const parsed = parse({ typeCode: 'PositionStatusUpdate', positionProfileIds: 'a', ...moved });
    expect(parsed).toMatchObject({ kind: 'valid', warnings: [] });
  });
});

describe('a deeper tree', () => {
  const workflow = defineWorkflow({
    steps: [
      'Applied',
      {
        label: 'Selection',
        steps: [
          { label: 'Interviews', steps: ['First', 'Second'] },
          { label: 'Checks', steps: ['References'] },
          'Decision',
        ],
      },
      {
        label: 'Done',
        placed: false,
        steps: [{ label: 'Hired', placed: true, steps: ['Probation'] }, 'Rejected'],
      },
    ],
  });
  const told = (status: string) => {
    const { phase, status: own, success } = workflow.state(status, AT);
    return [phase?.label, phase?.index, phase?.total, own.index, own.total, success];
  };

  it('is cut to a status and the phase right above it', () => {
    expect(told('Second')).toEqual(['Interviews', 1, 5, 3, 7, null]);
    expect(told('Decision')).toEqual(['Selection', 3, 5, 5, 7, null]);
  });

  it('has statuses without a phase where there is nothing above them', () => {
    expect(told('Applied')).toEqual([undefined, undefined, undefined, 1, 7, null]);
  });

  it('ends as the nearest step says', () => {
    expect(told('Probation')).toEqual(['Hired', 4, 5, 6, 7, true]);
    expect(told('Rejected')).toEqual(['Done', 5, 5, 7, 7, false]);
  });
});

describe('a graph', () => {
  it('is put into the best order that there is, what is final last', () => {
    const { statuses } = defineWorkflow({
      steps: [
        'Applied',
        { label: 'Rejected', placed: false },
        { label: 'Hired', placed: true },
        'Offer',
        'Interview',
        'On hold',
      ],
      transitions: [
        ['Applied', 'Interview'],
        ['Applied', 'Rejected'],
        ['Interview', 'On hold'],
        ['On hold', 'Interview'],
        ['Interview', 'Offer'],
        ['Offer', 'Interview'],
        ['Interview', 'Rejected'],
        ['Offer', 'Hired'],
      ],
    });

    expect(statuses).toEqual(['Applied', 'Interview', 'Offer', 'On hold', 'Rejected', 'Hired']);
  });
});

describe('moments', () => {
  const workflow = defineWorkflow({ steps: ['Applied', 'Interview'] });

  it.each([
    [new Date(AT), AT],
    ['2020-01-02T11:00:00+11:00', '2020-01-02T11:00:00+11:00'],
  ])('may be %s', (at, timestamp) => {
    expect(workflow.state('Applied', at).timestamp).toBe(timestamp);
  });

  it('need no previous one', () => {
    expect(workflow.transition(undefined, { status: 'Applied', at: AT })).toEqual({
      current: workflow.state('Applied', AT),
    });
  });

  it.each([
    ['2020-01-02T00:00:00Z', '2020-01-01T00:00:00Z'],
    ['2020-01-02T00:00:00Z', '2020-01-02T10:00:00+11:00'],
  ])('come in their order: %s is not before %s', (before, after) => {
    const move = () =>
      workflow.transition({ status: 'Applied', at: before }, { status: 'Interview', at: after });

    expect(problemsOf(move)).toEqual(['from (Applied) is later than to (Interview)']);
  });

  it('may be one and the same', () => {
    const both = { status: 'Applied', at: AT };

    expect(workflow.transition(both, { ...both, status: 'Interview' })).toHaveProperty('previous');
  });
});

describe('what is wrong', () => {
  it.each([
    ['no statuses', () => defineWorkflow({ steps: [] }), ['steps: expected at least one status']],
    [
      'more statuses than anybody has',
      () => defineWorkflow({ steps: Array.from({ length: 301 }, (_, n) => `${n}`) }),
      ['steps: more than 300 statuses'],
    ],
    [
      'ids that repeat',
      () => defineWorkflow({ steps: ['A', { label: 'X', steps: ['A', 'B'] }, 'B', 'C'] }),
      [
        'steps: "A" stands there more than once: give each an id',
        'steps: "B" stands there more than once: give each an id',
      ],
    ],
    [
      'transitions between what is not there',
      () =>
        defineWorkflow({
          steps: ['A', 'B'],
          transitions: [
            ['A', 'C'],
            ['D', 'C'],
          ],
        }),
      [
        'transitions: "C" is not in the workflow; expected one of A, B',
        'transitions: "D" is not in the workflow; expected one of A, B',
      ],
    ],
    [
      'a status that is not there, at no time',
      () => defineWorkflow({ steps: ['A', 'B'] }).state('toString', 'yesterday'),
      [
        '"toString" is not in the workflow; expected one of A, B',
        'at: expected a Date, or RFC 3339 with an offset',
      ],
    ],
    [
      'a phase in place of a status',
      () => defineWorkflow({ steps: [{ label: 'X', steps: ['A'] }] }).state('X', AT),
      ['"X" is not in the workflow; expected one of A'],
    ],
    [
      'a date that is none',
      () => defineWorkflow({ steps: ['A'] }).state('A', new Date('never')),
      ['at: expected a Date, or RFC 3339 with an offset'],
    ],
  ])('is named whole: %s', (_, work, problems) => {
    expect(problemsOf(work)).toEqual(problems);
  });
});
