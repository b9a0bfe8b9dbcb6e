import type { LegacyShape } from './legacy.ts';

/** One encrypted column of ours: where it lies, and what its plaintext looks like. */
export interface SecretColumn {
  readonly table: string;
  readonly column: string;
  /** Column that holds the uuid which the ciphertext is bound to. */
  readonly uuidColumn: string;
  /** Form of the plaintext, where values in the older, unauthenticated format may lie and are read; null = v2 only. */
  readonly legacy: LegacyShape | null;
}

/**
 * Every encrypted column of our own tables, once. The label goes into the authenticated data of the envelope, so a value that is
 * moved to another row or another column does not open. Labels are never renamed: what was sealed under one opens under it only.
 * bin/rotate-keys walks this list, and a test holds it to the tables.
 */
export const secretColumns = {
  'job.source-config': {
    table: 's3_cloudbackup_jobs',
    column: 'source_config_enc',
    uuidColumn: 'uuid',
    legacy: 'json',
  },
  'source.refresh-token': {
    table: 's3_cloudbackup_sources',
    column: 'refresh_token_enc',
    uuidColumn: 'uuid',
    legacy: 'token',
  },
  'oauth-state.verifier': {
    table: 's3_cloudbackup_oauth_states',
    column: 'verifier_enc',
    uuidColumn: 'uuid',
    legacy: null,
  },
  'backup-key.value': { table: 's3_cloudbackup_keys', column: 'value_enc', uuidColumn: 'uuid', legacy: null },
  'repository-key.secret': {
    table: 's3_cloudbackup_repository_keys',
    column: 'wrapped_repo_secret',
    uuidColumn: 'uuid',
    legacy: 'token',
  },
  'repository-operation.payload': {
    table: 's3_cloudbackup_repo_operations',
    column: 'payload_enc',
    uuidColumn: 'uuid',
    legacy: null,
  },
  'command.payload': { table: 's3_cloudbackup_run_commands', column: 'payload_enc', uuidColumn: 'uuid', legacy: null },
  'mount.access-key': { table: 's3_cloudnas_mounts', column: 'temp_access_key_enc', uuidColumn: 'uuid', legacy: null },
  'mount.secret-key': { table: 's3_cloudnas_mounts', column: 'temp_secret_key_enc', uuidColumn: 'uuid', legacy: null },
} as const satisfies Record<string, SecretColumn>;

export type SecretLabel = keyof typeof secretColumns;

export const secretLabels = Object.keys(secretColumns) as SecretLabel[];

/** Host rows have no uuid of ours; a host that seals its keys as v2 binds them to this pair. */
export const HOST_LABEL = 'host.secret';
export const HOST_UUID = '00000000-0000-0000-0000-000000000000';
