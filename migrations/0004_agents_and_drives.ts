import type { Knex } from 'knex';
import { createTable } from './columns.ts';

/** Agents, their enrolment and destinations, Kopia's policies and sources, Cloud NAS drives. */
export async function up(knex: Knex): Promise<void> {
  await createAgents(knex);
  await createKopia(knex);
  await createDrives(knex);
}

async function createAgents(knex: Knex): Promise<void> {
  await createTable(knex, 's3_agent_enrollment_tokens', (c) => {
    c.id();
    c.uuid().notNullable().unique();
    c.big('client_id').notNullable();
    c.big('tenant_id');
    c.big('backup_user_id');
    /** SHA-256 hex of the token; the token itself is shown once and never stored. */
    c.word('token_hash', 64).notNullable().unique();
    c.word('token_hint', 16).notNullable();
    c.text('description').notNullable().defaultTo('');
    c.int('max_uses');
    c.int('use_count').notNullable().defaultTo(0);
    c.time('expires_at');
    c.time('revoked_at');
    c.time('created_at').notNullable();
    c.time('updated_at').notNullable();
    c.table.index(['client_id', 'id'], 'e3_enrollment_client');
  });
  await createTable(knex, 's3_cloudbackup_agents', (c) => {
    c.id();
    c.uuid('agent_uuid').notNullable().unique();
    c.big('client_id').notNullable();
    c.big('tenant_id').notNullable().defaultTo(0);
    c.big('tenant_user_id');
    c.big('backup_user_id');
    c.word('token_hash', 64).notNullable().unique();
    c.big('enrollment_token_id');
    c.text('hostname').notNullable();
    c.word('device_id').notNullable();
    c.word('install_id');
    c.text('device_name');
    c.word('agent_version');
    c.word('agent_os', 32);
    c.word('agent_arch', 16);
    c.word('agent_build');
    c.int('protocol_version');
    c.time('metadata_updated_at');
    c.word('status', 16).notNullable().defaultTo('active');
    c.word('agent_type', 16).notNullable().defaultTo('workstation');
    c.time('last_seen_at');
    c.long('volumes_json');
    c.time('volumes_updated_at');
    c.time('created_at').notNullable();
    c.time('updated_at').notNullable();
    c.table.unique(['client_id', 'tenant_id', 'device_id'], { indexName: 'e3_agents_device' });
    c.table.index(['client_id', 'status', 'id'], 'e3_agents_client');
    c.table.index(['last_seen_at'], 'e3_agents_seen');
  });
  await createTable(knex, 's3_cloudbackup_agent_events', (c) => {
    c.id();
    c.uuid('agent_uuid').notNullable();
    c.big('client_id').notNullable();
    c.time('ts').notNullable();
    c.word('source', 16).notNullable();
    c.word('level', 16).notNullable();
    c.word('code', 128).notNullable();
    c.word('message_id', 128).notNullable();
    c.long('params_json');
    c.word('dedupe_key', 191);
    c.time('created_at').notNullable();
    c.table.index(['agent_uuid', 'ts'], 'e3_agent_events_agent');
    c.table.index(['client_id', 'ts'], 'e3_agent_events_client');
    c.table.index(['agent_uuid', 'dedupe_key', 'ts'], 'e3_agent_events_dedupe');
    c.table.index(['ts'], 'e3_agent_events_ts');
  });
  await createTable(knex, 's3_cloudbackup_agent_destinations', (c) => {
    c.id();
    c.uuid('agent_uuid').notNullable().unique();
    c.big('client_id').notNullable();
    c.big('s3_user_id').notNullable();
    c.big('dest_bucket_id').notNullable();
    c.text('root_prefix', 1024).notNullable();
    c.word('root_prefix_sha256', 64).notNullable().unique();
    c.flag('is_locked');
    c.time('created_at').notNullable();
    c.time('updated_at').notNullable();
    c.table.index(['client_id'], 'e3_agent_destinations_client');
  });
}

async function createKopia(knex: Knex): Promise<void> {
  await createTable(knex, 's3_kopia_policy_versions', (c) => {
    c.id();
    c.long('policy_json').notNullable();
    c.word('policy_sha256', 64).notNullable().unique();
    c.int('schema_version').notNullable();
    c.time('created_at').notNullable();
  });
  await createTable(knex, 's3_kopia_repos', (c) => {
    c.id();
    c.ref('repository_ref', 's3_cloudbackup_repositories').notNullable().unique();
    c.ref('vault_policy_version_id', 's3_kopia_policy_versions').notNullable();
    c.big('client_id').notNullable();
    c.word('status', 16).notNullable().defaultTo('active');
    c.time('created_at').notNullable();
    c.time('updated_at').notNullable();
    c.table.index(['client_id'], 'e3_kopia_repos_client');
  });
  await createTable(knex, 's3_kopia_repo_sources', (c) => {
    c.id();
    c.ref('repo_id', 's3_kopia_repos').notNullable();
    c.uuid('source_uuid').notNullable();
    c.big('job_id');
    c.word('lifecycle', 16).notNullable().defaultTo('active');
    c.time('retired_at');
    c.time('created_at').notNullable();
    c.table.unique(['repo_id', 'source_uuid'], { indexName: 'e3_kopia_sources_source' });
    c.table.index(['job_id'], 'e3_kopia_sources_job');
  });
}

async function createDrives(knex: Knex): Promise<void> {
  await createTable(knex, 's3_cloudnas_mounts', (c) => {
    c.id();
    c.uuid().notNullable().unique();
    c.big('client_id').notNullable();
    c.uuid('agent_uuid').notNullable();
    c.word('kind', 16).notNullable().defaultTo('bucket');
    c.big('bucket_id');
    c.text('bucket_name', 255).notNullable();
    c.text('prefix', 1024).notNullable().defaultTo('');
    c.big('point_id');
    c.word('drive_letter', 1);
    c.text('mount_path', 1024);
    c.flag('read_only');
    c.flag('persistent');
    c.word('cache_mode', 20).notNullable().defaultTo('full');
    c.word('status', 20).notNullable().defaultTo('unmounted');
    c.word('wanted', 20).notNullable().defaultTo('unmounted');
    c.text('error', 1024);
    c.long('temp_access_key_enc');
    c.long('temp_secret_key_enc');
    c.word('temp_key_ceph_uid', 255);
    c.time('last_mounted_at');
    c.time('created_at').notNullable();
    c.time('updated_at').notNullable();
    c.table.unique(['agent_uuid', 'drive_letter'], { indexName: 'e3_mounts_letter' });
    c.table.index(['client_id', 'id'], 'e3_mounts_client');
    c.table.index(['status'], 'e3_mounts_status');
  });
  await createTable(knex, 's3_cloudnas_settings', (c) => {
    c.id();
    c.big('client_id').notNullable().unique();
    c.long('settings_json').notNullable();
    c.time('created_at').notNullable();
    c.time('updated_at').notNullable();
  });
}

export async function down(knex: Knex): Promise<void> {
  for (const table of [
    's3_cloudnas_settings',
    's3_cloudnas_mounts',
    's3_kopia_repo_sources',
    's3_kopia_repos',
    's3_kopia_policy_versions',
    's3_cloudbackup_agent_destinations',
    's3_cloudbackup_agent_events',
    's3_cloudbackup_agents',
    's3_agent_enrollment_tokens',
  ]) {
    await knex.schema.dropTable(table);
  }
}
