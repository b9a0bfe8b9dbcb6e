import { expect, it } from '@jest/globals';
import { migrateDown, migrateUp, pendingMigrations, requireMigrated } from '../../src/database/migrate.ts';
import { steps, tables } from '../../migrations/index.ts';
import { fromDatabaseTime, toDatabaseTime } from '../../src/database/times.ts';
import { describeOnBoth } from './both.ts';

describeOnBoth(
  'migrations',
  (current) => {
    it('make every table, do nothing the second time, and take all of it back', async () => {
      const { database } = current();
      await expect(requireMigrated(database)).rejects.toMatchObject({ code: 'ERR_SCHEMA_OLD' });
      expect(await migrateUp(database)).toHaveLength(steps.length);
      expect(await migrateUp(database)).toEqual([]);
      expect(await pendingMigrations(database)).toEqual([]);
      for (const table of tables) expect([table, await database.knex.schema.hasTable(table)]).toEqual([table, true]);
      await migrateDown(database);
      for (const table of tables) expect([table, await database.knex.schema.hasTable(table)]).toEqual([table, false]);
      expect(await migrateUp(database)).toHaveLength(steps.length);
      await migrateDown(database);
    });

    it('take one step back and forth, also when it was cut off in the middle', async () => {
      const { database } = current();
      await migrateUp(database);
      const step = steps.find(({ name }) => name === '0005_retention_and_proofs');
      if (step === undefined) throw new Error('the step is gone');
      const jobs = (): Promise<boolean> => database.knex.schema.hasColumn('s3_cloudbackup_jobs', 'drill_overdue_since');
      await step.down(database.knex);
      expect(await jobs()).toBe(false);
      expect(await database.knex.schema.hasTable('s3_cloudbackup_drills')).toBe(false);
      await step.up(database.knex);
      await database.knex.schema.dropTable('s3_cloudbackup_drills');
      await database.knex.raw('ALTER TABLE s3_cloudbackup_restore_points DROP COLUMN freed_bytes');
      // All of it is there, some of it, nothing of it: the same in the end.
      await step.up(database.knex);
      await step.up(database.knex);
      expect(await jobs()).toBe(true);
      expect(await database.knex.schema.hasTable('s3_cloudbackup_drills')).toBe(true);
      expect(await database.knex.schema.hasColumn('s3_cloudbackup_restore_points', 'freed_bytes')).toBe(true);
      await migrateDown(database);
    });

    it('refuse to touch a database that has a table with one of our names which they did not make', async () => {
      const { database } = current();
      await database.knex.schema.createTable('s3_cloudbackup_runs', (table) => void table.integer('somebody_elses'));
      await expect(migrateUp(database)).rejects.toMatchObject({
        code: 'ERR_SCHEMA_FOREIGN',
        details: { table: 's3_cloudbackup_runs' },
      });
      expect(await database.knex.schema.hasTable('s3_cloudbackup_jobs')).toBe(false);
      expect(await database.knex.schema.hasColumn('s3_cloudbackup_runs', 'somebody_elses')).toBe(true);
      await database.knex.schema.dropTable('s3_cloudbackup_runs');
    });
  },
  { migrate: false },
);

describeOnBoth('times', (current) => {
  it('come back to the millisecond, in UTC, whatever zone the session has', async () => {
    const { database, dialect } = current();
    const instants = [0, 951_782_400_001, Date.UTC(2026, 2, 29, 1, 30, 0, 7), Date.UTC(2026, 9, 25, 1, 59, 59, 999)];
    if (dialect === 'mysql') await database.knex.raw(`SET time_zone = '+05:30'`);
    for (const [index, instant] of instants.entries()) {
      await database.knex('s3_cloudbackup_workers').insert({
        uuid: String(index),
        hostname: 'h',
        version: '1',
        state: 'idle',
        max_concurrent: 1,
        started_at: toDatabaseTime(instant),
        last_seen_at: database.now(),
      });
    }
    const rows = (await database
      .knex('s3_cloudbackup_workers')
      .select('started_at', 'last_seen_at')
      .orderBy('started_at')) as { started_at: string; last_seen_at: string }[];
    expect(rows.map((row) => fromDatabaseTime(row.started_at))).toEqual(instants);
    for (const row of rows) expect(Math.abs(fromDatabaseTime(row.last_seen_at) - Date.now())).toBeLessThan(60_000);
    const later = (await database.knex.select({ a: database.now(), b: database.now(90_500) }).first()) as {
      a: string;
      b: string;
    };
    expect(later.a).toHaveLength(23);
    expect(fromDatabaseTime(later.b) - fromDatabaseTime(later.a)).toBeGreaterThanOrEqual(90_000);
  });
});
