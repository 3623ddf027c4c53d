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

describe('a workflow without phases', () => {
  const workflow = defineWorkflow({
    steps: [
      'Applied',
      'Interview',
      { label: 'Hired', placed: true },
      { label: 'Unsuccessful', placed: false },
    ],
  });

  it('statuses → counted from 1, with success by placed', () => {
    const states = workflow.statuses.map((status) => workflow.state(status, AT));

    expect(states.map(({ status, success }) => [...Object.values(status), success])).toEqual([
      ['Applied', 1, 4, null],
      ['Interview', 2, 4, null],
      ['Hired', 3, 4, true],
      ['Unsuccessful', 4, 4, false],
    ]);
  });

  it('state → has no phase field', () => {
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

  it('statuses → counted over the whole process, and phases separately', () => {
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
  ])('status %s → success is %s', (status, success) => {
    expect(workflow.state(status, AT).success).toBe(success);
  });

  it('transition → equals the published sample of SEEK, and is valid without warnings', () => {
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

describe('a workflow with nested phases', () => {
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
  const summarise = (status: string) => {
    const { phase, status: own, success } = workflow.state(status, AT);
    return [phase?.label, phase?.index, phase?.total, own.index, own.total, success];
  };

  it('state → has the status and the phase directly above it', () => {
    expect(summarise('Second')).toEqual(['Interviews', 1, 5, 3, 7, null]);
    expect(summarise('Decision')).toEqual(['Selection', 3, 5, 5, 7, null]);
  });

  it('status without a phase above it → state without a phase', () => {
    expect(summarise('Applied')).toEqual([undefined, undefined, undefined, 1, 7, null]);
  });

  it('success → from the nearest step with placed', () => {
    expect(summarise('Probation')).toEqual(['Hired', 4, 5, 6, 7, true]);
    expect(summarise('Rejected')).toEqual(['Done', 5, 5, 7, 7, false]);
  });
});

describe('a workflow with transitions', () => {
  it('statuses → ordered by transitions, final ones last', () => {
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

describe('times', () => {
  const workflow = defineWorkflow({ steps: ['Applied', 'Interview'] });

  it.each([
    [new Date(AT), AT],
    ['2020-01-02T11:00:00+11:00', '2020-01-02T11:00:00+11:00'],
  ])('%s → accepted', (at, timestamp) => {
    expect(workflow.state('Applied', at).timestamp).toBe(timestamp);
  });

  it('transition without from → only current', () => {
    expect(workflow.transition(undefined, { status: 'Applied', at: AT })).toEqual({
      current: workflow.state('Applied', AT),
    });
  });

  it.each([
    ['2020-01-02T00:00:00Z', '2020-01-01T00:00:00Z'],
    ['2020-01-02T00:00:00Z', '2020-01-02T10:00:00+11:00'],
  ])('transition from %s to the earlier %s → WorkflowError', (before, after) => {
    const move = () =>
      workflow.transition({ status: 'Applied', at: before }, { status: 'Interview', at: after });

    expect(problemsOf(move)).toEqual(['from (Applied) is later than to (Interview)']);
  });

  it('transition at one and the same time → accepted', () => {
    const both = { status: 'Applied', at: AT };

    expect(workflow.transition(both, { ...both, status: 'Interview' })).toHaveProperty('previous');
  });
});

describe('WorkflowError', () => {
  it.each([
    ['no statuses', () => defineWorkflow({ steps: [] }), ['steps: expected at least one status']],
    [
      'more than 300 statuses',
      () => defineWorkflow({ steps: Array.from({ length: 301 }, (_, n) => `${n}`) }),
      ['steps: more than 300 statuses'],
    ],
    [
      'repeated ids',
      () => defineWorkflow({ steps: ['A', { label: 'X', steps: ['A', 'B'] }, 'B', 'C'] }),
      [
        'steps: "A" occurs more than once: give each an id',
        'steps: "B" occurs more than once: give each an id',
      ],
    ],
    [
      'transitions of unknown statuses',
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
      'an unknown status at an invalid time',
      () => defineWorkflow({ steps: ['A', 'B'] }).state('toString', 'yesterday'),
      [
        '"toString" is not in the workflow; expected one of A, B',
        'at: expected a Date, or RFC 3339 with an offset',
      ],
    ],
    [
      'a phase instead of a status',
      () => defineWorkflow({ steps: [{ label: 'X', steps: ['A'] }] }).state('X', AT),
      ['"X" is not in the workflow; expected one of A'],
    ],
    [
      'an invalid Date',
      () => defineWorkflow({ steps: ['A'] }).state('A', new Date('never')),
      ['at: expected a Date, or RFC 3339 with an offset'],
    ],
  ])('%s → all problems are listed', (_, work, problems) => {
    expect(problemsOf(work)).toEqual(problems);
  });
});
