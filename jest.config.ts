import type { Config } from 'jest';

const config: Config = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': '<rootDir>/test/setup/strip-types.js' },
  reporters: ['<rootDir>/test/setup/reporter.js'],
  testTimeout: 60_000,
  // Real servers (MariaDB, SeaweedFS, rclone, Chromium) run beside the tests: more processes than cores only makes them wait.
  maxWorkers: 2,
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.e3/'],
};

export default config;
