/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  globalSetup: '<rootDir>/test/support/jestSetup.js',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'es6' } },
    ],
  },
  // The examples import us as their users do.
  moduleNameMapper: {
    '^seek-signal-dispatcher$': '<rootDir>/src/index.ts',
    '^seek-signal-dispatcher/(.+)$': '<rootDir>/src/producer/middleware/$1.ts',
  },
  testTimeout: 60_000,
  maxWorkers: 3,
};
