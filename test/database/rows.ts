import { v7 } from 'uuid';
import type { Database } from '../../src/database/connect.ts';
import { activeKey, type RunKind } from '../../src/runs/state.ts';

/** Rows for tests that are about something else: only what the columns require. */
export async function insertJob(
  database: Database,
  values: Record<string, unknown> = {},
): Promise<{ id: number; uuid: string }> {
  const uuid = v7();
  await database.knex('s3_cloudbackup_jobs').insert({
    uuid,
    client_id: 1,
    s3_user_id: 1,
    name: 'Website',
    source_type: 's3_compatible',
    source_config_enc: '',
    dest_bucket_id: 1,
    dest_bucket_name: 'backups',
    dest_prefix: `e3-${uuid}/`,
    created_at: database.now(),
    updated_at: database.now(),
    ...values,
  });
  const row = (await database.knex('s3_cloudbackup_jobs').where({ uuid }).select('id').first()) as { id: number };
  return { id: Number(row.id), uuid };
}

export async function insertRun(
  database: Database,
  job: { id: number; uuid: string },
  values: Record<string, unknown> = {},
): Promise<{ id: number; uuid: string }> {
  const uuid = v7();
  const kind = (values['kind'] ?? 'backup') as RunKind;
  await database.knex('s3_cloudbackup_runs').insert({
    uuid,
    job_id: job.id,
    job_uuid: job.uuid,
    client_id: 1,
    kind,
    active_key: activeKey(kind, job.uuid),
    created_at: database.now(),
    updated_at: database.now(),
    ...values,
  });
  const row = (await database.knex('s3_cloudbackup_runs').where({ uuid }).select('id').first()) as { id: number };
  return { id: Number(row.id), uuid };
}
