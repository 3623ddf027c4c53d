import { BULLMQ_MAJOR_VERSION } from 'bullmq';
import { assertBullMqMajor } from '../../../src/queue/redis/keys.ts';

describe('the check of the BullMQ version', () => {
  it('the installed version → passes', () => {
    expect(() => assertBullMqMajor(BULLMQ_MAJOR_VERSION)).not.toThrow();
  });

  it.each([5, 7, Number.NaN])('major version %d → an error that names both versions', (major) => {
    expect(() => assertBullMqMajor(major)).toThrow(
      `Expected bullmq 6, whose layout of Redis keys this version follows; found bullmq ${major}.`,
    );
  });
});
