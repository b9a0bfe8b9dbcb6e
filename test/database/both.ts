import { afterAll, beforeAll, beforeEach, describe } from '@jest/globals';
import type { Dialect } from '../../src/database/connect.ts';
import { emptyTables, openTestDatabase, type TestDatabase } from './open.ts';

export { emptyTables, openTestDatabase, type TestDatabase } from './open.ts';

/**
 * Runs a block of tests on SQLite and on a real MariaDB. The file owns its databases; every test starts with
 * empty tables unless `keepRows` says otherwise.
 */
export function describeOnBoth(
  title: string,
  define: (current: () => TestDatabase) => void,
  options: { keepRows?: boolean; migrate?: boolean } = {},
): void {
  describe.each<Dialect>(['sqlite', 'mysql'])(`${title} (%s)`, (dialect) => {
    let current: TestDatabase | undefined;
    let release: () => Promise<void> = async () => {};
    beforeAll(async () => {
      const opened = await openTestDatabase(dialect, options);
      current = opened.test;
      release = opened.release;
    }, 60_000);
    beforeEach(async () => {
      if (!options.keepRows && options.migrate !== false && current) await emptyTables(current.database);
    });
    afterAll(async () => await release(), 30_000);
    define(() => {
      if (!current) throw new Error('the test database is open inside of tests only');
      return current;
    });
  });
}
