import base from '../../jest.config.js';

/** What `npm test` leaves out: these take minutes, and kill what they start. */
/** @type {import('jest').Config} */
export default {
  ...base,
  rootDir: '../..',
  roots: ['<rootDir>/test/chaos'],
  testMatch: ['**/*.chaos.ts'],
  testTimeout: 900_000,
  // One file after the other: the scenarios share the machine among themselves.
  maxWorkers: 1,
};
