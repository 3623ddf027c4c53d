import { createFalsePositives } from '../../../src/worker/circuitBreaker/localBreaker.ts';

type Step = Exclude<keyof ReturnType<typeof createFalsePositives>, 'level'>;

const FALSE_POSITIVE: Step[] = ['recordTrip', 'recordReset'];

const levelAfter = (steps: Step[]): number => {
  const falsePositives = createFalsePositives();
  for (const step of steps) falsePositives[step]();
  return falsePositives.level();
};

describe('the level of false positives', () => {
  it.each<{ what: string; steps: Step[]; level: number }>([
    { what: 'no trip', steps: [], level: 0 },
    {
      what: 'trips that no other worker’s probe contradicts',
      steps: ['recordTrip', 'recordTrip', 'recordTrip'],
      level: 0,
    },
    { what: 'one false positive', steps: FALSE_POSITIVE, level: 0 },
    { what: 'two false positives', steps: [...FALSE_POSITIVE, ...FALSE_POSITIVE], level: 1 },
    {
      what: 'three false positives',
      steps: [...FALSE_POSITIVE, ...FALSE_POSITIVE, ...FALSE_POSITIVE],
      level: 2,
    },
    {
      what: 'resets after trips of other workers',
      steps: ['recordReset', 'recordReset', 'recordReset'],
      level: 0,
    },
    {
      what: 'one false positive and more resets',
      steps: [...FALSE_POSITIVE, 'recordReset', 'recordReset'],
      level: 0,
    },
    {
      what: 'two false positives with a success between them',
      steps: [...FALSE_POSITIVE, 'recordSuccess', ...FALSE_POSITIVE],
      level: 0,
    },
    {
      what: 'a false positive, and a trip before a success of this worker',
      steps: [...FALSE_POSITIVE, 'recordTrip', 'recordSuccess'],
      level: 0,
    },
    {
      what: 'a trip before a success of this worker and a reset, then one false positive',
      steps: [...FALSE_POSITIVE, 'recordTrip', 'recordSuccess', 'recordReset', ...FALSE_POSITIVE],
      level: 0,
    },
    {
      what: 'two false positives and two failed local probes',
      steps: [...FALSE_POSITIVE, ...FALSE_POSITIVE, 'recordLocalFailure', 'recordLocalFailure'],
      level: 3,
    },
    {
      what: 'two false positives, a failed local probe and a success',
      steps: [...FALSE_POSITIVE, ...FALSE_POSITIVE, 'recordLocalFailure', 'recordSuccess'],
      level: 0,
    },
  ])('after $what → $level', ({ steps, level }) => {
    expect(levelAfter(steps)).toBe(level);
  });
});
