import base from '../../jest.config.js';

/** The chaos tests. `npm test` leaves them out because they take minutes. */
/** @type {import('jest').Config} */
export default {
  ...base,
  rootDir: '../..',
  roots: ['<rootDir>/test/chaos'],
  testMatch: ['**/*.chaos.ts'],
  testTimeout: 900_000,
  // One file at a time: the scenarios already share both cores.
  maxWorkers: 1,
};
