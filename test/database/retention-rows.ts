import { v7 } from 'uuid';
import type { Database } from '../../src/database/connect.ts';
import type { Lease } from '../../src/database/leases.ts';
import { toDatabaseTime } from '../../src/database/times.ts';
import { activeKey } from '../../src/runs/state.ts';
import { insertRun, type TestJob } from './rows.ts';

/** A point of a backup run that is over; its generation is its number. */
export async function insertPointOf(
  database: Database,
  job: TestJob,
  generation: number,
  columns: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const finishedAt = toDatabaseTime(Date.UTC(2026, 0, 1) + generation * 3_600_000);
  const run = await insertRun(database, job, { status: 'success', claim: 1, finished_at: finishedAt });
  const uuid = v7();
  await database.knex('s3_cloudbackup_restore_points').insert({
    uuid,
    client_id: job.clientId,
    job_id: job.id,
    run_id: run.id,
    run_uuid: run.uuid,
    engine: 'sync',
    status: 'success',
    generation,
    claim_name: 'c1-00000000',
    manifest_key: `manifests/${run.uuid}.c1-00000000.json`,
    manifest_sha256: '',
    bytes: 100,
    added_bytes: 10,
    dest_bucket_id: 1,
    dest_bucket: 'b',
    dest_prefix: 'p/',
    created_at: finishedAt,
    ...columns,
  });
  return uuid;
}

/** A maintenance run of the job that a worker carries out; it takes the job's key from whoever had it. */
export async function ownMaintenance(database: Database, job: TestJob): Promise<Lease> {
  await database
    .knex('s3_cloudbackup_runs')
    .where('active_key', activeKey('maintenance', job.uuid))
    .update({ active_key: null, lease_token: null, status: 'failed', finished_at: '2026-01-01 00:00:00.000' });
  const token = v7();
  const run = await insertRun(database, job, {
    kind: 'maintenance',
    status: 'running',
    lease_token: token,
    lease_expires_at: database.now(60_000),
    claim: 1,
  });
  return { runId: run.id, runUuid: run.uuid, token };
}

export async function statesOf(database: Database, job: TestJob): Promise<string[]> {
  const rows = (await database
    .knex('s3_cloudbackup_restore_points')
    .where('job_id', job.id)
    .orderBy('generation')
    .select('state')) as { state: string }[];
  return rows.map((row) => row.state);
}

export async function jobRow(database: Database, job: TestJob): Promise<Record<string, unknown>> {
  return (await database.knex('s3_cloudbackup_jobs').where('id', job.id).first('*')) as Record<string, unknown>;
}
