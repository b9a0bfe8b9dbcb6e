import { v7 } from 'uuid';
import type { Database } from '../../src/database/connect.ts';
import { toDatabaseTime } from '../../src/database/times.ts';
import { activeKey, isTerminal, type RunKind, type RunStatus } from '../../src/runs/state.ts';

export interface TestJob {
  readonly id: number;
  readonly uuid: string;
  readonly clientId: number;
}

/** Inserts a job that needs no form: every column that has no default gets a plain value. */
export async function insertJob(database: Database, columns: Readonly<Record<string, unknown>> = {}): Promise<TestJob> {
  const uuid = typeof columns['uuid'] === 'string' ? columns['uuid'] : v7();
  const clientId = typeof columns['client_id'] === 'number' ? columns['client_id'] : 1;
  const [id] = (await database.knex('s3_cloudbackup_jobs').insert({
    ...plainJob(uuid, clientId),
    ...columns,
  })) as number[];
  return { id: Number(id), uuid, clientId };
}

/** As `insertJob`, many at once. */
export async function insertJobs(
  database: Database,
  count: number,
  columns: (index: number) => Readonly<Record<string, unknown>> = () => ({}),
): Promise<void> {
  const rows = Array.from({ length: count }, (_, index) => ({
    ...plainJob(v7(), 1 + (index % 50)),
    ...columns(index),
  }));
  await database.knex.batchInsert('s3_cloudbackup_jobs', rows, 200);
}

function plainJob(uuid: string, clientId: number): Record<string, unknown> {
  const now = toDatabaseTime(Date.now());
  return {
    uuid,
    client_id: clientId,
    s3_user_id: 1,
    name: 'Photos',
    source_type: 's3_compatible',
    source_config_enc: '',
    dest_bucket_id: 1,
    dest_bucket_name: 'backup',
    dest_prefix: `e3-${uuid}/`,
    created_at: now,
    updated_at: now,
  };
}

/** Inserts a run of a job, queued unless told otherwise; while it is active it holds its job's key, as everywhere. */
export async function insertRun(
  database: Database,
  job: TestJob,
  columns: Readonly<Record<string, unknown>> = {},
): Promise<{ id: number; uuid: string }> {
  const uuid = typeof columns['uuid'] === 'string' ? columns['uuid'] : v7();
  const status = (columns['status'] ?? 'queued') as RunStatus;
  const now = toDatabaseTime(Date.now());
  const [id] = (await database.knex('s3_cloudbackup_runs').insert({
    uuid,
    job_id: job.id,
    job_uuid: job.uuid,
    client_id: job.clientId,
    active_key: isTerminal(status) ? null : activeKey((columns['kind'] ?? 'backup') as RunKind, job.uuid),
    created_at: now,
    updated_at: now,
    ...columns,
  })) as number[];
  return { id: Number(id), uuid };
}
