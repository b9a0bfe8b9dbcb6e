import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { v7 } from 'uuid';
import type { IndexedPoint, IndexedRun, ReindexPlan } from '../layout/reindex.ts';
import { activeKey, isTerminal, statusesBefore, type RunStatus } from '../runs/state.ts';
import { coolOffAnew, graceAnew } from './after-reindex.ts';
import { freezeRetention } from './commit.ts';
import { isDuplicate, type Database } from './connect.ts';
import type { Lease } from './leases.ts';
import { insertPoint } from './restore-points.ts';
import { toDatabaseTime } from './times.ts';
import type { WorkerJob } from './worker-jobs.ts';

/**
 * Queues nothing and waits for nobody: takes the job's active key for a reindex, as a run of its own that is running already.
 * Queued runs of the job are cancelled, those whose owner has been silent for lease and margin are failed: after a database was restored
 * both are echoes of another time. Null: a run of the job is really active; stop the workers first.
 */
export async function beginReindex(
  database: Database,
  job: WorkerJob,
  options: { leaseMs: number; marginMs: number; host: string },
): Promise<Lease | null> {
  const uuid = v7();
  const token = `${randomBytes(18).toString('base64url')}.${uuid}`;
  try {
    return await database.transaction(async (trx) => {
      await endEchoes(database, trx, job, options.marginMs);
      await trx('s3_cloudbackup_runs').insert({
        uuid,
        job_id: job.id,
        job_uuid: job.uuid,
        client_id: job.clientId,
        kind: 'maintenance',
        run_type: 'reindex',
        trigger_type: 'manual',
        status: 'running',
        phase: 'reindexing',
        active_key: activeKey('maintenance', job.uuid),
        lease_token: token,
        lease_expires_at: database.now(options.leaseMs),
        last_heartbeat_at: database.now(),
        worker_host: options.host,
        attempt: 0,
        max_attempts: 1,
        dest_bucket: job.bucketName,
        dest_prefix: job.prefix,
        created_at: database.now(),
        started_at: database.now(),
        updated_at: database.now(),
      });
      const row = (await trx('s3_cloudbackup_runs').where({ uuid }).select('id').first()) as { id: number };
      return { runId: Number(row.id), runUuid: uuid, token };
    });
  } catch (error) {
    if (isDuplicate(error)) return null;
    throw error;
  }
}

async function endEchoes(database: Database, trx: Knex.Transaction, job: WorkerJob, marginMs: number): Promise<void> {
  const over = {
    active_key: null,
    lease_token: null,
    lease_expires_at: null,
    finished_at: database.now(),
    updated_at: database.now(),
  };
  // A restore holds no key. One of another time, taken up again, would write old files over what has become of them since.
  const echoes = (): Knex.QueryBuilder =>
    trx('s3_cloudbackup_runs')
      .where({ job_id: job.id })
      .where(
        (own) => void own.where('active_key', activeKey('backup', job.uuid)).orWhereIn('kind', ['restore', 'drill']),
      );
  await echoes()
    .whereIn('status', statusesBefore('cancel', 'cancelled'))
    .update({ ...over, status: 'cancelled', error_code: 'ERR_CANCELLED' });
  await echoes()
    .where('lease_expires_at', '<', database.now(-marginMs))
    .whereIn('status', statusesBefore('lose', 'failed'))
    .update({ ...over, status: 'failed', error_code: 'ERR_WORKER_LOST' });
}

/**
 * The past of a job that was made anew of what lies in a bucket, as one run that is over: nothing may take the job for one that has never
 * written, free its folder or move it, also before a reindex tells of the runs that it had.
 */
export async function insertLostPast(
  database: Database,
  trx: Knex.Transaction,
  job: { readonly uuid: string; readonly clientId: number; readonly bucketName: string; readonly prefix: string },
): Promise<void> {
  const row = (await trx('s3_cloudbackup_jobs').where({ uuid: job.uuid, client_id: job.clientId }).first('id')) as {
    id: number;
  };
  await trx('s3_cloudbackup_runs').insert({
    uuid: v7(),
    job_id: row.id,
    job_uuid: job.uuid,
    client_id: job.clientId,
    kind: 'maintenance',
    run_type: 'adopt',
    trigger_type: 'manual',
    start_reason: 'adopt',
    status: 'success',
    phase: 'finished',
    claim: 1,
    dest_bucket: job.bucketName,
    dest_prefix: job.prefix,
    created_at: database.now(),
    finished_at: database.now(),
    updated_at: database.now(),
  });
}

/** The job's counters, as the plan needs them. */
export async function jobCounters(database: Database, jobId: number): Promise<{ generation: number; frozen: boolean }> {
  const row = (await database
    .knex('s3_cloudbackup_jobs')
    .where({ id: jobId })
    .select('generation', 'frozen_at')
    .first()) as { generation: number; frozen_at: string | null } | undefined;
  return { generation: Number(row?.generation ?? 0), frozen: (row?.frozen_at ?? null) !== null };
}

/** All of a plan, and what lies in the bucket, in one transaction, conditional on the lease of the run that reindexes; ends that run. */
export async function applyReindex(
  database: Database,
  job: WorkerJob,
  lease: Lease,
  plan: ReindexPlan,
  sizes: { readonly total: number; readonly byClaim: ReadonlyMap<string, number> },
): Promise<'applied' | 'lost'> {
  return await database.transaction(async (trx) => {
    const ended = await trx('s3_cloudbackup_runs')
      .where({ id: lease.runId, lease_token: lease.token })
      .whereIn('status', statusesBefore('finish', 'success'))
      .update({
        status: 'success',
        phase: 'finished',
        active_key: null,
        lease_token: null,
        lease_expires_at: null,
        progress_pct: 100,
        objects_total: plan.points.length,
        objects_transferred: plan.points.length,
        stats_json: JSON.stringify({
          points: plan.points.length,
          deleting: plan.deleting.length,
          lost: plan.lost.length,
          runs: plan.runs.length,
          unusable: plan.unusable.length,
        }),
        finished_at: database.now(),
        updated_at: database.now(),
      });
    if (ended === 0) return 'lost';
    for (const run of plan.runs) await applyRun(database, trx, job, run);
    for (const point of plan.points) {
      const { run, claim } = point.manifest;
      await applyPoint(database, trx, job, point, sizes.byClaim.get(`${run}/${claim}`) ?? 0);
    }
    await setState(trx, job.id, plan.deleting, { state: 'deleting' });
    await setState(trx, job.id, plan.lost, { state: 'pruned', pruned_at: database.now() });
    // What the bucket tells to be deleted, and what no point explains, is for maintenance.
    await trx('s3_cloudbackup_jobs')
      .where({ id: job.id })
      .update({ stored_bytes: sizes.total, maintenance_at: database.now() });
    await trx('s3_cloudbackup_jobs')
      .where({ id: job.id })
      .where('generation', '<', plan.generation)
      .update({ generation: plan.generation });
    await graceAnew(database, trx, job.id);
    if (plan.points.some(({ known }) => known === null)) await coolOffAnew(database, trx, job, lease);
    if (plan.frozen) await freezeRetention(database, trx, job.id, 'reindexed', lease.runUuid);
    return 'applied';
  });
}

/** Terminal rows keep their status; a run that only the bucket knows becomes a row, so that its folder is explained and collected. */
async function applyRun(database: Database, trx: Knex.Transaction, job: WorkerJob, run: IndexedRun): Promise<void> {
  const row = (await trx('s3_cloudbackup_runs')
    .where({ uuid: run.run, job_id: job.id })
    .select('id', 'status', 'claim')
    .first()) as { id: number; status: RunStatus; claim: number } | undefined;
  if (row === undefined) {
    await trx('s3_cloudbackup_runs').insert({
      uuid: run.run,
      job_id: job.id,
      job_uuid: job.uuid,
      client_id: job.clientId,
      kind: 'backup',
      trigger_type: 'manual',
      start_reason: 'reindex',
      status: run.status,
      phase: 'finished',
      claim: run.claim,
      generation: run.generation,
      dest_bucket: job.bucketName,
      dest_prefix: job.prefix,
      created_at: database.now(),
      finished_at: database.now(),
      updated_at: database.now(),
    });
    return;
  }
  await trx('s3_cloudbackup_runs')
    .where({ id: row.id })
    .update({
      claim: Math.max(Number(row.claim), run.claim),
      updated_at: database.now(),
      ...(isTerminal(row.status)
        ? {}
        : {
            status: run.status,
            phase: 'finished',
            active_key: null,
            lease_token: null,
            lease_expires_at: null,
            generation: run.generation,
            finished_at: database.now(),
          }),
    });
}

async function applyPoint(
  database: Database,
  trx: Knex.Transaction,
  job: WorkerJob,
  point: IndexedPoint,
  addedBytes: number,
): Promise<void> {
  const { manifest } = point;
  const columns = {
    claim_name: manifest.claim,
    generation: manifest.generation,
    manifest_key: point.key,
    manifest_sha256: point.sha256,
    complete: manifest.complete ? 1 : 0,
    frozen: manifest.frozen ? 1 : 0,
    files: manifest.files,
    bytes: manifest.bytes,
    stored: manifest.stored,
    carried: manifest.carried,
    failed: manifest.failed,
    added_bytes: addedBytes,
  };
  if (point.known !== null) {
    await trx('s3_cloudbackup_restore_points').where({ uuid: point.known, job_id: job.id }).update(columns);
    return;
  }
  const run = (await trx('s3_cloudbackup_runs').where({ uuid: manifest.run, job_id: job.id }).select('id').first()) as {
    id: number;
  };
  const row = {
    status: manifest.complete ? ('success' as const) : ('warning' as const),
    createdAt: toDatabaseTime(Date.parse(manifest.created_at)),
  };
  // A pruned row of this run may be there from before: what the bucket holds is the point. Workers may delete no row.
  const again = await trx('s3_cloudbackup_restore_points')
    .where({ run_id: run.id, engine: 'sync', state: 'pruned' })
    .update({
      ...columns,
      status: row.status,
      created_at: row.createdAt,
      finished_at: database.now(),
      ...{ state: 'kept', holds: 0, marked_at: null, pruned_at: null, freed_bytes: 0 },
    });
  if (again > 0) return;
  await insertPoint(database, trx, {
    ...row,
    clientId: job.clientId,
    jobId: job.id,
    runId: Number(run.id),
    runUuid: manifest.run,
    generation: manifest.generation,
    claimName: manifest.claim,
    manifestKey: point.key,
    manifestSha256: point.sha256,
    complete: manifest.complete,
    frozen: manifest.frozen,
    files: manifest.files,
    bytes: manifest.bytes,
    stored: manifest.stored,
    carried: manifest.carried,
    failed: manifest.failed,
    addedBytes,
    destination: { bucketId: job.bucketId, bucket: job.bucketName, prefix: job.prefix },
  });
}

/** Whoever still reads such a point learns by its hold that it is gone. */
async function setState(
  trx: Knex.Transaction,
  jobId: number,
  uuids: readonly string[],
  values: Record<string, unknown>,
): Promise<void> {
  for (let start = 0; start < uuids.length; start += 500) {
    const points = trx('s3_cloudbackup_restore_points')
      .where({ job_id: jobId })
      .whereIn('uuid', uuids.slice(start, start + 500));
    await trx('s3_cloudbackup_holds').whereIn('point_id', points.clone().select('id')).delete();
    await points.clone().update({ ...values, holds: 0 });
  }
}
