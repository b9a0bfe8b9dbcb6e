import type { Knex } from 'knex';
import { createTable } from './columns.ts';

/** Jobs, their runs, what runs tell, and the rows that keep claims exact. */
export async function up(knex: Knex): Promise<void> {
  await createJobs(knex);
  await createRuns(knex);
  await createRunDetails(knex);
  await createWorkersAndGates(knex);
}

export async function down(knex: Knex): Promise<void> {
  for (const table of [
    's3_cloudbackup_gates',
    's3_cloudbackup_workers',
    's3_cloudbackup_run_commands',
    's3_cloudbackup_run_logs',
    's3_cloudbackup_run_events',
    's3_cloudbackup_runs',
    's3_cloudbackup_jobs',
  ]) {
    await knex.schema.dropTable(table);
  }
}

async function createJobs(knex: Knex): Promise<void> {
  await createTable(knex, 's3_cloudbackup_jobs', (c) => {
    c.id();
    c.uuid().notNullable().unique();
    c.big('client_id').notNullable();
    c.big('s3_user_id').notNullable();
    c.big('tenant_id');
    c.word('repository_id');
    c.big('backup_user_id');
    c.text('name').notNullable();
    c.word('source_type', 32).notNullable();
    c.text('source_display_name').notNullable().defaultTo('');
    c.long('source_config_enc').notNullable();
    c.big('source_connection_id');
    c.text('source_path', 1024).notNullable().defaultTo('');
    c.long('source_paths_json');
    /** SFTP: the server's public key as pinned on first use, and one that was seen since and is not accepted. */
    c.text('source_host_key', 2048);
    c.text('source_host_key_seen', 2048);
    c.big('dest_bucket_id').notNullable();
    c.text('dest_bucket_name', 255).notNullable();
    c.text('dest_prefix', 1024).notNullable();
    c.word('backup_mode', 16).notNullable().defaultTo('sync');
    c.word('engine', 16).notNullable().defaultTo('sync');
    c.word('dest_type', 16).notNullable().defaultTo('s3');
    c.text('dest_local_path', 1024);
    c.flag('bucket_auto_create');
    c.word('schedule_type', 16).notNullable().defaultTo('manual');
    c.word('schedule_time', 8);
    c.int('schedule_weekday');
    c.text('schedule_cron');
    c.long('schedule_json');
    c.word('timezone');
    c.time('next_run_at');
    c.flag('catch_up', 1);
    c.int('start_jitter_seconds').notNullable().defaultTo(0);
    c.int('overdue_grace_seconds').notNullable().defaultTo(3600);
    /** By when the next good restore point is promised; null: none is. */
    c.time('good_by');
    c.time('overdue_since');
    c.flag('encryption_enabled');
    c.flag('compression_enabled');
    c.word('validation_mode', 16).notNullable().defaultTo('none');
    c.word('retention_mode', 16).notNullable().defaultTo('none');
    c.int('retention_value');
    c.long('retention_json');
    c.long('policy_json');
    c.int('bandwidth_limit_kbps');
    c.int('parallelism');
    c.word('encryption_mode');
    c.word('compression');
    c.int('local_bandwidth_limit_kbps');
    c.long('local_include_glob');
    c.long('local_exclude_glob');
    c.uuid('agent_uuid');
    c.word('last_policy_hash');
    c.int('max_attempts').notNullable().defaultTo(3);
    c.int('brake_percent').notNullable().defaultTo(50);
    c.int('brake_min_files').notNullable().defaultTo(100);
    /** Retention is frozen: which run did it, and why. */
    c.time('frozen_at');
    c.word('frozen_reason');
    c.uuid('frozen_run_uuid');
    c.big('generation').notNullable().defaultTo(0);
    c.big('stored_bytes').notNullable().defaultTo(0);
    c.time('last_good_at');
    c.long('notify_override_email');
    c.table.specificType('notify_on_success', 'INTEGER');
    c.table.specificType('notify_on_warning', 'INTEGER');
    c.table.specificType('notify_on_failure', 'INTEGER');
    c.word('status', 16).notNullable().defaultTo('active');
    c.word('data_state', 16).notNullable().defaultTo('kept');
    c.time('deleted_at');
    c.time('created_at').notNullable();
    c.time('updated_at').notNullable();
    c.table.index(['client_id', 'status', 'id'], 'e3_jobs_client');
    c.table.index(['dest_bucket_id'], 'e3_jobs_bucket');
    c.table.index(['status', 'next_run_at'], 'e3_jobs_due');
    c.table.index(['status', 'good_by'], 'e3_jobs_good_by');
    c.table.index(['overdue_since'], 'e3_jobs_overdue');
    c.table.index(['agent_uuid'], 'e3_jobs_agent');
    c.table.index(['source_connection_id'], 'e3_jobs_connection');
  });
}

async function createRuns(knex: Knex): Promise<void> {
  await createTable(knex, 's3_cloudbackup_runs', (c) => {
    c.id();
    c.uuid().notNullable().unique();
    c.ref('job_id', 's3_cloudbackup_jobs').notNullable();
    c.uuid('job_uuid').notNullable();
    c.big('client_id').notNullable();
    c.word('kind', 16).notNullable().defaultTo('backup');
    c.word('trigger_type', 16).notNullable().defaultTo('manual');
    c.word('run_type', 32);
    c.word('status', 20).notNullable().defaultTo('queued');
    c.word('active_key', 80).unique();
    c.time('slot_at');
    c.word('start_reason', 32);
    c.uuid('parent_run_uuid');
    c.long('options_json');
    c.int('claim').notNullable().defaultTo(0);
    c.word('claim_name', 32);
    c.int('attempt').notNullable().defaultTo(0);
    c.int('max_attempts').notNullable().defaultTo(3);
    c.time('not_before');
    c.time('expires_at');
    c.word('lease_token');
    c.time('lease_expires_at');
    c.text('worker_host');
    c.uuid('worker_uuid');
    c.uuid('agent_uuid');
    c.big('generation');
    c.int('event_seq').notNullable().defaultTo(0);
    c.int('event_count').notNullable().defaultTo(0);
    c.flag('cancel_requested');
    c.flag('cancel_forced');
    c.flag('yield_requested');
    c.word('error_code');
    c.text('error_summary', 2048);
    c.word('phase', 32);
    c.table.decimal('progress_pct', 5, 2).notNullable().defaultTo(0);
    for (const column of [
      'bytes_total',
      'bytes_transferred',
      'bytes_processed',
      'objects_total',
      'objects_transferred',
      'speed_bytes_per_sec',
    ]) {
      c.big(column).notNullable().defaultTo(0);
    }
    c.int('eta_seconds');
    c.text('current_item', 1024);
    c.text('log_path', 512);
    c.long('log_excerpt');
    c.word('log_ref', 255);
    c.word('validation_mode', 16).notNullable().defaultTo('none');
    c.word('validation_status', 16).notNullable().defaultTo('not_run');
    c.long('validation_log_excerpt');
    c.word('engine', 16);
    c.text('engine_version');
    c.long('stats_json');
    c.long('progress_json');
    c.long('policy_snapshot');
    c.text('dest_bucket', 255);
    c.text('dest_prefix', 1024);
    c.text('dest_local_path', 1024);
    c.big('tenant_id');
    c.word('repository_id');
    c.time('created_at').notNullable();
    c.time('started_at');
    c.time('finished_at');
    c.time('last_heartbeat_at');
    c.time('notified_at');
    c.time('updated_at').notNullable();
    c.table.unique(['job_id', 'kind', 'slot_at'], { indexName: 'e3_runs_slot' });
    c.table.index(['status', 'agent_uuid', 'client_id', 'not_before', 'id'], 'e3_runs_queue');
    c.table.index(['status', 'lease_expires_at'], 'e3_runs_lease');
    c.table.index(['worker_uuid', 'status'], 'e3_runs_worker');
    c.table.index(['agent_uuid', 'status', 'last_heartbeat_at'], 'e3_runs_agent');
    c.table.index(['client_id', 'status'], 'e3_runs_client_status');
    c.table.index(['client_id', 'id'], 'e3_runs_client');
    c.table.index(['job_id', 'id'], 'e3_runs_job');
    c.table.index(['job_id', 'kind', 'created_at', 'status'], 'e3_runs_strip');
    c.table.index(['created_at'], 'e3_runs_created');
  });
}

async function createRunDetails(knex: Knex): Promise<void> {
  await createTable(knex, 's3_cloudbackup_run_events', (c) => {
    c.id();
    c.ref('run_id', 's3_cloudbackup_runs', 'CASCADE').notNullable();
    c.int('seq').notNullable();
    c.time('ts').notNullable();
    c.word('type', 32).notNullable();
    c.word('level', 16).notNullable();
    c.word('code', 128).notNullable();
    c.word('message_id', 128).notNullable();
    c.long('params_json');
    /** An agent's own numbering: a repeated push inserts nothing twice. Null for workers. */
    c.word('producer', 64);
    c.big('producer_seq');
    c.table.unique(['run_id', 'seq'], { indexName: 'e3_events_seq' });
    c.table.unique(['run_id', 'producer', 'producer_seq'], { indexName: 'e3_events_producer' });
    c.table.index(['ts'], 'e3_events_ts');
  });
  await createTable(knex, 's3_cloudbackup_run_logs', (c) => {
    c.id();
    c.ref('run_id', 's3_cloudbackup_runs', 'CASCADE').notNullable();
    c.time('created_at').notNullable();
    c.word('level', 16).notNullable();
    c.word('code').notNullable();
    c.long('message');
    c.long('details_json');
    c.table.index(['run_id', 'created_at'], 'e3_logs_run');
    c.table.index(['created_at'], 'e3_logs_created');
  });
  await createTable(knex, 's3_cloudbackup_run_commands', (c) => {
    c.id();
    c.uuid().notNullable().unique();
    c.big('client_id').notNullable();
    c.big('run_id');
    c.big('job_id');
    c.uuid('agent_uuid');
    /** Who carries it out: `worker`, or a lane of an agent (backup, restore, browse, nas, control). */
    c.word('lane', 16).notNullable();
    c.word('type').notNullable();
    c.long('payload_enc');
    c.word('status', 16).notNullable().defaultTo('pending');
    c.long('result_json');
    c.int('attempts').notNullable().defaultTo(0);
    c.word('claim_token');
    c.time('claim_expires_at');
    c.time('expires_at').notNullable();
    c.time('created_at').notNullable();
    c.time('processed_at');
    c.table.index(['lane', 'status', 'id'], 'e3_commands_lane');
    c.table.index(['agent_uuid', 'status', 'id'], 'e3_commands_agent');
    c.table.index(['run_id', 'status'], 'e3_commands_run');
    c.table.index(['status', 'expires_at'], 'e3_commands_expiry');
    c.table.index(['client_id', 'id'], 'e3_commands_client');
  });
}

async function createWorkersAndGates(knex: Knex): Promise<void> {
  await createTable(knex, 's3_cloudbackup_workers', (c) => {
    c.id();
    c.uuid().notNullable().unique();
    c.text('hostname').notNullable();
    c.text('version').notNullable();
    c.long('tools_json');
    c.int('pid');
    c.word('state', 16).notNullable();
    c.int('max_concurrent').notNullable();
    c.time('started_at').notNullable();
    c.time('last_seen_at').notNullable();
    c.table.index(['last_seen_at'], 'e3_workers_seen');
    c.table.index(['hostname'], 'e3_workers_host');
  });
  /** One row a scope (`global`, `client:7`, `worker:<uuid>`, `bucket:3`, `audit`): updated by whoever must not race with another. */
  await createTable(knex, 's3_cloudbackup_gates', (c) => {
    c.word('scope', 80).notNullable().primary();
    c.big('version').notNullable().defaultTo(0);
  });
}
