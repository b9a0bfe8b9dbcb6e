import type { Knex } from 'knex';
import { createTable, extendTable, narrowTable, type AddedColumn } from './columns.ts';

const jobColumns: readonly AddedColumn[] = [
  /** A retention that keeps less waits here until it acts; until then the one in force is `retention_mode` and its values. */
  { name: 'retention_pending_json', define: (c) => void c.long('retention_pending_json') },
  { name: 'retention_acts_at', define: (c) => void c.time('retention_acts_at') },
  /** When the worker next looks what may go. */
  { name: 'maintenance_at', define: (c) => void c.time('maintenance_at') },
  { name: 'validation_every_days', define: (c) => void c.int('validation_every_days') },
  { name: 'validation_next_at', define: (c) => void c.time('validation_next_at') },
  { name: 'validation_last_at', define: (c) => void c.time('validation_last_at') },
  { name: 'validation_last_status', define: (c) => void c.word('validation_last_status', 16) },
  { name: 'drill_every_days', define: (c) => void c.int('drill_every_days') },
  { name: 'drill_next_at', define: (c) => void c.time('drill_next_at') },
  { name: 'drill_last_at', define: (c) => void c.time('drill_last_at') },
  { name: 'drill_last_status', define: (c) => void c.word('drill_last_status', 16) },
  { name: 'drill_overdue_since', define: (c) => void c.time('drill_overdue_since') },
  /** `data_state` is kept, grace (goes at this time, until then undone by one click), deleting or gone. */
  { name: 'data_delete_at', define: (c) => void c.time('data_delete_at') },
];

const jobIndexes = {
  e3_jobs_maintenance: ['data_state', 'maintenance_at'],
  e3_jobs_data_delete: ['data_state', 'data_delete_at'],
  e3_jobs_validation: ['status', 'validation_next_at'],
  e3_jobs_drill: ['status', 'drill_next_at'],
} as const;

const pointColumns: readonly AddedColumn[] = [
  { name: 'freed_bytes', define: (c) => void c.big('freed_bytes').notNullable().defaultTo(0) },
];

/**
 * What retention, validation and restore tests remember. Databases of one early build have all of it already (their first steps made
 * it), so each part is made only where it is missing.
 */
export async function up(knex: Knex): Promise<void> {
  await extendTable(knex, 's3_cloudbackup_jobs', jobColumns, jobIndexes);
  await extendTable(knex, 's3_cloudbackup_restore_points', pointColumns, {});
  if (!(await knex.schema.hasTable('s3_cloudbackup_run_files'))) await createRunFiles(knex);
  if (!(await knex.schema.hasTable('s3_cloudbackup_drills'))) await createDrills(knex);
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('s3_cloudbackup_drills');
  await knex.schema.dropTable('s3_cloudbackup_run_files');
  await narrowTable(knex, 's3_cloudbackup_restore_points', pointColumns, {});
  await narrowTable(knex, 's3_cloudbackup_jobs', jobColumns, jobIndexes);
}

/** Files of a run that were not as they should be: what the report of the run lists. */
async function createRunFiles(knex: Knex): Promise<void> {
  await createTable(knex, 's3_cloudbackup_run_files', (c) => {
    c.id();
    c.ref('run_id', 's3_cloudbackup_runs', 'CASCADE').notNullable();
    /** carried, failed, skipped (backup); missing, differs, size_only (validation, restore, drill). */
    c.word('kind', 16).notNullable();
    c.word('code', 64).notNullable();
    c.long('path').notNullable();
    c.table.index(['run_id', 'id'], 'e3_run_files_run');
    c.table.index(['run_id', 'kind', 'id'], 'e3_run_files_kind');
  });
}

async function createDrills(knex: Knex): Promise<void> {
  await createTable(knex, 's3_cloudbackup_drills', (c) => {
    c.id();
    c.uuid().notNullable().unique();
    c.big('client_id').notNullable();
    c.ref('job_id', 's3_cloudbackup_jobs').notNullable();
    c.uuid('run_uuid').notNullable();
    c.uuid('point_uuid');
    /** success, size_only (no hash to compare), failed. */
    c.word('status', 16).notNullable();
    for (const column of ['files', 'exact', 'size_only', 'problems', 'bytes', 'duration_ms'])
      c.big(column).notNullable().defaultTo(0);
    c.long('canary_path');
    c.time('started_at').notNullable();
    c.time('finished_at').notNullable();
    c.table.index(['job_id', 'id'], 'e3_drills_job');
    c.table.index(['client_id', 'id'], 'e3_drills_client');
    c.table.index(['run_uuid'], 'e3_drills_run');
  });
}
