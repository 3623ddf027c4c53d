import { applyWorkflow } from '../../../src/producer/workflow/applyWorkflow.ts';
import { accepted } from '../../schemas/parse.ts';
import { buildSignal } from '../../support/buildSignal.ts';

const AT = '2026-03-01T10:00:00Z';
const WORKFLOW = {
  steps: [
    'Applied',
    { label: 'Selection', steps: ['Interview', 'Offer'] },
    {
      label: 'Closed',
      steps: [
        { label: 'Hired', placed: true },
        { label: 'Rejected', placed: false },
      ],
    },
  ],
};
const named = (change: object = {}) => ({
  ...buildSignal(),
  workflow: WORKFLOW,
  current: { status: 'Rejected', timestamp: AT },
  ...change,
});

describe('applyWorkflow', () => {
  it('states that name statuses → states in SEEK’s terms', () => {
    const { input, invalidFields } = applyWorkflow(
      named({ previous: { status: 'Applied', timestamp: AT } }),
    );

    expect(invalidFields).toEqual({});
    expect(accepted(input)).toEqual({
      ...buildSignal(),
      current: {
        phase: { label: 'Closed', index: 2, total: 2 },
        status: { label: 'Rejected', index: 5, total: 5 },
        success: false,
        timestamp: AT,
      },
      previous: { status: { label: 'Applied', index: 1, total: 5 }, success: null, timestamp: AT },
    });
  });

  it('workflow with transitions, as JSON → statuses in their order', () => {
    const workflow = {
      steps: ['A', 'C', 'B'],
      transitions: [
        ['A', 'B'],
        ['B', 'C'],
      ],
    };
    const current = { status: 'C', timestamp: AT };

    const { input } = applyWorkflow(JSON.parse(JSON.stringify(named({ workflow, current }))));

    expect(accepted(input).current?.status).toEqual({ label: 'C', index: 3, total: 3 });
  });

  it.each([buildSignal(), null, 7, 'text', [], undefined])(
    'input without a workflow: %j → unchanged',
    (input) => {
      expect(applyWorkflow(input)).toEqual({ input, invalidFields: {}, isModelled: false });
    },
  );

  it.each<{ what: string; change: object; found: object }>([
    {
      what: 'unknown statuses',
      change: {
        current: { status: 'Hire', timestamp: AT },
        previous: { status: 'toString', timestamp: AT },
      },
      found: {
        '/current/status': expect.stringContaining(
          'one of Applied, Interview, Offer, Hired, Rejected',
        ),
        '/previous/status': expect.stringContaining('Is not in the workflow'),
      },
    },
    {
      what: 'success, which follows from the status',
      change: { current: { status: 'Interview', timestamp: AT, success: false } },
      found: { '/current/success': 'Unknown field' },
    },
    {
      what: 'a state in SEEK’s terms',
      change: { current: { status: { label: 'Hired', index: 1, total: 1 }, timestamp: AT } },
      found: { '/current/status': expect.any(String) },
    },
    {
      what: 'a workflow that is not an object',
      change: { workflow: 'mine' },
      found: { '/workflow': 'Expected an object with steps' },
    },
    { what: 'no steps', change: { workflow: {} }, found: { '/workflow/steps': 'Is required' } },
    {
      what: 'a repeated status',
      change: { workflow: { steps: ['A', 'A'] } },
      found: { '/workflow': expect.stringContaining('more than once') },
    },
    {
      what: 'deeply nested steps',
      change: {
        workflow: {
          steps: [JSON.parse(`${'{"label":"a","steps":['.repeat(20_000)}${']}'.repeat(20_000)}`)],
        },
      },
      found: { '/workflow': 'Is nested too deeply' },
    },
  ])('$what → reported as problems', ({ change, found }) => {
    expect(applyWorkflow(named(change)).invalidFields).toMatchObject(found);
  });

  it('thousands of problems → reported in less than 50,000 characters', () => {
    const steps = Array.from({ length: 300 }, (_, n) => `${n}`.padEnd(1_000, 'x'));
    const transitions = Array.from({ length: 5_000 }, (_, n) => [`from ${n}`, `to ${n}`]);

    const { invalidFields } = applyWorkflow(named({ workflow: { steps, transitions } }));

    expect(JSON.stringify(invalidFields).length).toBeLessThan(50_000);
  });

  it.each([null, undefined])('workflow %s → counts as absent', (workflow) => {
    expect(applyWorkflow({ ...buildSignal(), workflow })).toEqual({
      input: buildSignal(),
      invalidFields: {},
      isModelled: false,
    });
  });

  it('invalid state → the other problems of the signal are still found', () => {
    const { input } = applyWorkflow(
      named({ token: ' t', current: { status: 'Hire', timestamp: 'now' } }),
    );

    expect(() => accepted(input)).toThrow(
      /\/current\/timestamp.*\/token|\/token.*\/current\/timestamp/,
    );
  });
});
