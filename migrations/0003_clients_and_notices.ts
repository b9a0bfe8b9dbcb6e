import type { Knex } from 'knex';
import { createTable } from './columns.ts';

/** Settings of clients, connected sources, mails to send, the audit log. */
export async function up(knex: Knex): Promise<void> {
  await createTable(knex, 's3_cloudbackup_settings', (c) => {
    c.id();
    c.big('client_id').notNullable().unique();
    c.long('default_notify_emails');
    c.flag('default_notify_on_success', 0);
    c.flag('default_notify_on_warning', 1);
    c.flag('default_notify_on_failure', 1);
    c.word('default_timezone');
    /** Set by the operator only: a customer cannot raise its own limit. */
    c.int('per_client_max_concurrent_jobs');
    c.table.index(['per_client_max_concurrent_jobs', 'client_id'], 'e3_settings_limit');
    c.time('created_at').notNullable();
    c.time('updated_at').notNullable();
  });
  await createTable(knex, 's3_cloudbackup_sources', (c) => {
    c.id();
    c.uuid().notNullable().unique();
    c.big('client_id').notNullable();
    c.word('provider', 32).notNullable();
    c.text('display_name').notNullable();
    c.text('account_email');
    c.long('scopes');
    c.long('refresh_token_enc');
    c.word('status', 16).notNullable().defaultTo('active');
    c.long('meta');
    c.time('created_at').notNullable();
    c.time('updated_at').notNullable();
    c.table.index(['client_id', 'provider'], 'e3_sources_client');
  });
  await createTable(knex, 's3_cloudbackup_outbox', (c) => {
    c.id();
    c.uuid().notNullable().unique();
    /** One mail a fact: `run:<uuid>:failed`, `overdue:<job>:<since>` … */
    c.word('dedupe_key', 191).notNullable().unique();
    c.word('kind', 32).notNullable();
    c.big('client_id').notNullable();
    c.big('job_id');
    c.big('run_id');
    c.long('payload_json');
    c.word('status', 16).notNullable().defaultTo('pending');
    c.int('attempts').notNullable().defaultTo(0);
    c.time('not_before').notNullable();
    c.word('lease_token');
    c.time('lease_expires_at');
    c.text('last_error', 1024);
    c.time('created_at').notNullable();
    c.time('sent_at');
    c.table.index(['status', 'not_before', 'id'], 'e3_outbox_queue');
    c.table.index(['client_id', 'id'], 'e3_outbox_client');
    c.table.index(['run_id'], 'e3_outbox_run');
  });
  await createTable(knex, 's3_cloudbackup_audit', (c) => {
    c.id();
    c.time('ts').notNullable();
    c.word('actor_kind', 16).notNullable();
    c.text('actor_id').notNullable();
    c.big('client_id');
    c.word('action').notNullable();
    c.word('target_kind', 32);
    c.text('target_id');
    c.long('params_json');
    c.word('prev_hash', 64).notNullable().unique();
    c.word('hash', 64).notNullable().unique();
    c.table.index(['client_id', 'id'], 'e3_audit_client');
    c.table.index(['ts'], 'e3_audit_ts');
  });
}

export async function down(knex: Knex): Promise<void> {
  for (const table of [
    's3_cloudbackup_audit',
    's3_cloudbackup_outbox',
    's3_cloudbackup_sources',
    's3_cloudbackup_settings',
  ]) {
    await knex.schema.dropTable(table);
  }
}
