import type { Database } from './connect.ts';

/** What a worker reads of a job when it has claimed one of its runs. */
export interface WorkerJob {
  readonly id: number;
  readonly uuid: string;
  readonly clientId: number;
  readonly name: string;
  readonly sourceType: string;
  readonly sourceDisplayName: string;
  readonly sourceConfigEnc: string;
  readonly sourcePath: string;
  readonly sourceHostKey: string | null;
  readonly bucketId: number;
  readonly bucketName: string;
  readonly prefix: string;
  readonly mode: 'sync' | 'archive';
  readonly brakePercent: number;
  readonly brakeMinFiles: number;
  readonly bandwidthLimitKbps: number | null;
  readonly parallelism: number | null;
  readonly frozen: boolean;
  readonly encrypted: boolean;
  readonly status: string;
}

/** Null: there is no such job. Deleted jobs are found too: their restores go on. */
export async function readWorkerJob(
  database: Database,
  where: { id: number } | { uuid: string },
): Promise<WorkerJob | null> {
  const row = (await database.knex('s3_cloudbackup_jobs').where(where).select('*').first()) as
    Record<string, unknown> | undefined;
  if (!row) return null;
  const numberOrNull = (name: string): number | null => (row[name] === null ? null : Number(row[name]));
  return {
    id: Number(row['id']),
    uuid: String(row['uuid']),
    clientId: Number(row['client_id']),
    name: String(row['name']),
    sourceType: String(row['source_type']),
    sourceDisplayName: String(row['source_display_name'] ?? ''),
    sourceConfigEnc: String(row['source_config_enc'] ?? ''),
    sourcePath: String(row['source_path'] ?? ''),
    sourceHostKey: (row['source_host_key'] as string | null) ?? null,
    bucketId: Number(row['dest_bucket_id']),
    bucketName: String(row['dest_bucket_name']),
    prefix: String(row['dest_prefix']),
    mode: row['backup_mode'] === 'archive' ? 'archive' : 'sync',
    brakePercent: Number(row['brake_percent']),
    brakeMinFiles: Number(row['brake_min_files']),
    bandwidthLimitKbps: numberOrNull('bandwidth_limit_kbps'),
    parallelism: numberOrNull('parallelism'),
    frozen: row['frozen_at'] !== null,
    encrypted: Number(row['encryption_enabled']) !== 0,
    status: String(row['status']),
  };
}

/** Pins the host key of an SFTP source on its first use; one that is pinned already is never replaced here. */
export async function pinHostKey(database: Database, jobId: number, hostKey: string): Promise<boolean> {
  const changed = await database
    .knex('s3_cloudbackup_jobs')
    .where({ id: jobId })
    .whereNull('source_host_key')
    .update({ source_host_key: hostKey, source_host_key_seen: null, updated_at: database.now() });
  return changed > 0;
}

/** Remembers another host key that the server shows, for the page that lets its owner accept it. */
export async function rememberSeenHostKey(database: Database, jobId: number, hostKey: string): Promise<void> {
  await database
    .knex('s3_cloudbackup_jobs')
    .where({ id: jobId })
    .update({ source_host_key_seen: hostKey, updated_at: database.now() });
}
