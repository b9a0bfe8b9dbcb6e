import type { Knex } from 'knex';
import { createTable } from './columns.ts';

/** Restore points, holds on them, taken prefixes, keys of backups, repositories. */
export async function up(knex: Knex): Promise<void> {
  await createTable(knex, 's3_cloudbackup_restore_points', (c) => {
    c.id();
    c.uuid().notNullable().unique();
    c.big('client_id').notNullable();
    c.ref('job_id', 's3_cloudbackup_jobs').notNullable();
    c.big('run_id').notNullable();
    c.uuid('run_uuid').notNullable();
    c.word('engine', 16).notNullable();
    c.word('state', 16).notNullable().defaultTo('kept');
    /** `success`, or `warning` when entries were carried or failed. */
    c.word('status', 16).notNullable();
    c.big('generation').notNullable();
    c.word('claim_name', 32);
    c.text('manifest_key', 512);
    c.word('manifest_sha256', 64);
    /** Kopia's manifest; '' for cloud jobs, which have one point a run. */
    c.word('manifest_id', 128).notNullable().defaultTo('');
    c.word('repository_id');
    c.uuid('agent_uuid');
    c.flag('complete', 1);
    c.flag('frozen');
    for (const column of ['files', 'bytes', 'stored', 'carried', 'failed', 'added_bytes'])
      c.big(column).notNullable().defaultTo(0);
    c.big('dest_bucket_id').notNullable();
    c.text('dest_bucket', 255).notNullable();
    c.text('dest_prefix', 1024).notNullable();
    /** Number of live rows in the holds table: lets one conditional update see "nobody uses it". */
    c.int('holds').notNullable().defaultTo(0);
    c.time('pinned_at');
    c.text('pinned_by');
    c.time('marked_at');
    c.time('created_at').notNullable();
    c.time('finished_at');
    c.time('pruned_at');
    c.table.unique(['run_id', 'engine', 'manifest_id'], { indexName: 'e3_points_run' });
    c.table.index(['job_id', 'state', 'generation'], 'e3_points_job');
    c.table.index(['client_id', 'id'], 'e3_points_client');
    c.table.index(['state', 'marked_at'], 'e3_points_state');
    c.table.index(['repository_id', 'manifest_id'], 'e3_points_repository');
  });
  await createTable(knex, 's3_cloudbackup_holds', (c) => {
    c.id();
    c.ref('point_id', 's3_cloudbackup_restore_points', 'CASCADE').notNullable();
    c.uuid('run_uuid').notNullable();
    c.word('purpose', 16).notNullable();
    c.word('token').notNullable().unique();
    c.time('expires_at').notNullable();
    c.time('created_at').notNullable();
    c.table.index(['point_id', 'expires_at'], 'e3_holds_point');
    c.table.index(['run_uuid'], 'e3_holds_run');
    c.table.index(['expires_at'], 'e3_holds_expiry');
  });
  await createTable(knex, 's3_cloudbackup_prefixes', (c) => {
    c.id();
    /** SHA-256 hex of bucket and prefix: unique by bytes, whatever the collation and however long the prefix. */
    c.word('prefix_sha256', 64).notNullable().unique();
    c.big('bucket_id').notNullable();
    c.text('bucket_name', 255).notNullable();
    c.text('prefix', 1024).notNullable();
    c.word('owner_kind', 16).notNullable();
    c.uuid('owner_uuid').notNullable();
    c.big('client_id').notNullable();
    c.time('taken_at').notNullable();
    c.table.index(['bucket_id'], 'e3_prefixes_bucket');
    c.table.index(['owner_uuid'], 'e3_prefixes_owner');
  });
  /** Keys of backups (crypt passwords, repository keys): they outlive their job and go only with the data. */
  await createTable(knex, 's3_cloudbackup_keys', (c) => {
    c.id();
    c.uuid().notNullable().unique();
    c.big('client_id').notNullable();
    c.uuid('owner_uuid').notNullable();
    c.word('purpose', 32).notNullable();
    c.int('key_version').notNullable().defaultTo(1);
    c.long('value_enc').notNullable();
    c.time('kit_downloaded_at');
    c.time('created_at').notNullable();
    c.table.unique(['owner_uuid', 'purpose', 'key_version'], { indexName: 'e3_keys_owner' });
    c.table.index(['client_id'], 'e3_keys_client');
  });
  await createRepositories(knex);
}

async function createRepositories(knex: Knex): Promise<void> {
  await createTable(knex, 's3_cloudbackup_repositories', (c) => {
    c.id();
    c.uuid().notNullable().unique();
    c.word('repository_id').notNullable().unique();
    c.big('client_id').notNullable();
    c.big('tenant_id');
    c.big('bucket_id').notNullable();
    c.text('bucket_name', 255).notNullable();
    c.text('root_prefix', 1024).notNullable();
    c.word('engine', 16).notNullable();
    c.word('status', 16).notNullable().defaultTo('active');
    c.long('policy_json');
    c.time('created_at').notNullable();
    c.time('updated_at').notNullable();
    c.table.index(['client_id', 'status'], 'e3_repositories_client');
    c.table.index(['bucket_id'], 'e3_repositories_bucket');
  });
  await createTable(knex, 's3_cloudbackup_repository_keys', (c) => {
    c.id();
    c.uuid().notNullable().unique();
    c.ref('repository_ref', 's3_cloudbackup_repositories').notNullable();
    c.int('key_version').notNullable().defaultTo(1);
    c.word('wrap_alg', 32).notNullable();
    c.long('wrapped_repo_secret').notNullable();
    c.word('kek_ref');
    c.word('mode', 32).notNullable().defaultTo('managed_recovery');
    c.time('created_at').notNullable();
    c.table.unique(['repository_ref', 'key_version'], { indexName: 'e3_repository_keys_version' });
  });
  await createTable(knex, 's3_cloudbackup_repo_operations', (c) => {
    c.id();
    c.uuid().notNullable().unique();
    c.ref('repository_ref', 's3_cloudbackup_repositories').notNullable();
    c.big('client_id').notNullable();
    c.word('op_type').notNullable();
    c.word('status', 32).notNullable().defaultTo('queued');
    c.uuid('agent_uuid');
    c.uuid('worker_uuid');
    c.int('attempt_count').notNullable().defaultTo(0);
    c.word('operation_token', 128).notNullable().unique();
    c.word('lease_token');
    c.time('lease_expires_at');
    c.long('payload_enc');
    c.long('result_json');
    c.time('next_attempt_at');
    c.time('created_at').notNullable();
    c.time('updated_at').notNullable();
    c.table.index(['status', 'next_attempt_at', 'id'], 'e3_operations_queue');
    c.table.index(['repository_ref', 'status'], 'e3_operations_repository');
    c.table.index(['client_id', 'id'], 'e3_operations_client');
  });
  await createTable(knex, 's3_cloudbackup_repo_locks', (c) => {
    c.id();
    c.ref('repository_ref', 's3_cloudbackup_repositories', 'CASCADE').notNullable().unique();
    c.word('lock_token', 128).notNullable();
    c.word('owner').notNullable();
    c.time('expires_at').notNullable();
    c.table.index(['expires_at'], 'e3_repo_locks_expiry');
  });
}

export async function down(knex: Knex): Promise<void> {
  for (const table of [
    's3_cloudbackup_repo_locks',
    's3_cloudbackup_repo_operations',
    's3_cloudbackup_repository_keys',
    's3_cloudbackup_repositories',
    's3_cloudbackup_keys',
    's3_cloudbackup_prefixes',
    's3_cloudbackup_holds',
    's3_cloudbackup_restore_points',
  ]) {
    await knex.schema.dropTable(table);
  }
}
