import { createFalsePositives } from '../../../src/worker/circuitBreaker/localBreaker.ts';

type Step = Exclude<keyof ReturnType<typeof createFalsePositives>, 'degree'>;

const VAIN: Step[] = ['saidSo', 'contradicted'];

const degreeAfter = (steps: Step[]): number => {
  const doubt = createFalsePositives();
  for (const step of steps) doubt[step]();
  return doubt.degree();
};

describe('a worker that closes the lane', () => {
  it.each<{ what: string; steps: Step[]; degree: number }>([
    { what: 'never', steps: [], degree: 0 },
    { what: 'and is right', steps: ['saidSo', 'saidSo', 'saidSo'], degree: 0 },
    { what: 'once in vain', steps: VAIN, degree: 0 },
    { what: 'twice in vain', steps: [...VAIN, ...VAIN], degree: 1 },
    { what: 'three times in vain', steps: [...VAIN, ...VAIN, ...VAIN], degree: 2 },
    {
      what: 'and is contradicted where another had closed it',
      steps: ['contradicted', 'contradicted', 'contradicted'],
      degree: 0,
    },
    {
      what: 'once, and sees it open more often',
      steps: [...VAIN, 'contradicted', 'contradicted'],
      degree: 0,
    },
    {
      what: 'and whose own way is clear in between',
      steps: [...VAIN, 'cleared', ...VAIN],
      degree: 0,
    },
    { what: 'and finds it clear itself', steps: [...VAIN, 'saidSo', 'cleared'], degree: 0 },
    {
      what: 'and finds it clear itself, after which others open it',
      steps: [...VAIN, 'saidSo', 'cleared', 'contradicted', ...VAIN],
      degree: 0,
    },
    {
      what: 'twice in vain, stays away and fails again',
      steps: [...VAIN, ...VAIN, 'confirmed', 'confirmed'],
      degree: 3,
    },
    {
      what: 'twice in vain, and is well again',
      steps: [...VAIN, ...VAIN, 'confirmed', 'cleared'],
      degree: 0,
    },
  ])('$what doubts itself to the degree $degree', ({ steps, degree }) => {
    expect(degreeAfter(steps)).toBe(degree);
  });
});
