import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { v7 } from 'uuid';
import { isTerminal, type RunStatus } from '../runs/state.ts';
import { isDuplicate, type Database, type Executor } from './connect.ts';
import { toDatabaseTime } from './times.ts';

export type PointState = 'kept' | 'marked' | 'deleting' | 'pruned';
export type HoldPurpose = 'base' | 'restore' | 'drill';

/** One restore point of a cloud job, as the protocol of backups needs it. */
export interface PointRow {
  readonly id: number;
  readonly uuid: string;
  readonly runUuid: string;
  readonly claimName: string;
  readonly generation: number;
  readonly state: PointState;
  readonly complete: boolean;
  readonly manifestKey: string;
  readonly manifestSha256: string;
}

export interface JobRunRow {
  readonly id: number;
  readonly uuid: string;
  readonly claim: number;
  readonly status: RunStatus;
  readonly terminal: boolean;
  readonly hadPoint: boolean;
}

/** The points of a job that are not pruned. */
export async function livePoints(database: Database, jobId: number): Promise<PointRow[]> {
  const rows = (await database
    .knex('s3_cloudbackup_restore_points')
    .where('job_id', jobId)
    .whereIn('state', ['kept', 'marked', 'deleting'])
    .orderBy('generation')
    .select('*')) as Record<string, unknown>[];
  return rows.map(toPoint);
}

/** Those of `uuids` that are runs of this job. */
export async function jobRuns(database: Database, jobId: number, uuids: readonly string[]): Promise<JobRunRow[]> {
  const found: JobRunRow[] = [];
  for (let start = 0; start < uuids.length; start += 500) {
    const part = uuids.slice(start, start + 500);
    const rows = (await database
      .knex('s3_cloudbackup_runs as r')
      .leftJoin('s3_cloudbackup_restore_points as p', 'p.run_id', 'r.id')
      .whereIn('r.uuid', part)
      .where('r.job_id', jobId)
      .select('r.id', 'r.uuid', 'r.claim', 'r.status', 'p.id as point_id')) as Record<string, unknown>[];
    for (const row of rows) {
      const status = row['status'] as RunStatus;
      found.push({
        id: Number(row['id']),
        uuid: String(row['uuid']),
        claim: Number(row['claim']),
        status,
        terminal: isTerminal(status),
        hadPoint: row['point_id'] !== null,
      });
    }
  }
  return found;
}

export function toPoint(row: Record<string, unknown>): PointRow {
  return {
    id: Number(row['id']),
    uuid: String(row['uuid']),
    runUuid: String(row['run_uuid']),
    claimName: String(row['claim_name']),
    generation: Number(row['generation']),
    state: row['state'] as PointState,
    complete: Boolean(row['complete']),
    manifestKey: String(row['manifest_key']),
    manifestSha256: String(row['manifest_sha256']),
  };
}

export interface NewPointRow {
  readonly clientId: number;
  readonly jobId: number;
  readonly runId: number;
  readonly runUuid: string;
  readonly status: 'success' | 'warning';
  readonly generation: number;
  readonly claimName: string;
  readonly manifestKey: string;
  readonly manifestSha256: string;
  readonly complete: boolean;
  readonly frozen: boolean;
  readonly files: number;
  readonly bytes: number;
  readonly stored: number;
  readonly carried: number;
  readonly failed: number;
  readonly addedBytes: number;
  readonly destination: { readonly bucketId: number; readonly bucket: string; readonly prefix: string };
  /** Database time text: the manifest's `created_at`. */
  readonly createdAt: string;
}

/** Inserts a point. False: the run has one already (one point a run). */
export async function insertPoint(database: Database, trx: Knex.Transaction, point: NewPointRow): Promise<boolean> {
  const known: unknown = await trx('s3_cloudbackup_restore_points')
    .where('run_id', point.runId)
    .where('engine', 'sync')
    .select('id')
    .first();
  if (known !== undefined) return false;
  try {
    await trx('s3_cloudbackup_restore_points').insert({
      uuid: v7(),
      client_id: point.clientId,
      job_id: point.jobId,
      run_id: point.runId,
      run_uuid: point.runUuid,
      engine: 'sync',
      state: 'kept',
      status: point.status,
      generation: point.generation,
      claim_name: point.claimName,
      manifest_key: point.manifestKey,
      manifest_sha256: point.manifestSha256,
      complete: point.complete ? 1 : 0,
      frozen: point.frozen ? 1 : 0,
      files: point.files,
      bytes: point.bytes,
      stored: point.stored,
      carried: point.carried,
      failed: point.failed,
      added_bytes: point.addedBytes,
      dest_bucket_id: point.destination.bucketId,
      dest_bucket: point.destination.bucket,
      dest_prefix: point.destination.prefix,
      created_at: point.createdAt,
      finished_at: database.now(),
    });
    return true;
  } catch (error) {
    if (isDuplicate(error)) return false;
    throw error;
  }
}

export interface Hold {
  readonly token: string;
  readonly point: PointRow;
}

/**
 * Takes a hold on the newest kept point of a job (on the newest complete one with `completeOnly`). A marked point takes none: the
 * point's own row is updated under the condition that it is still kept. Null: there is no such point.
 */
export async function holdNewestPoint(
  database: Database,
  request: { jobId: number; runUuid: string; purpose: HoldPurpose; ttlMs: number; completeOnly?: boolean },
): Promise<Hold | null> {
  for (;;) {
    const candidate = (await database
      .knex('s3_cloudbackup_restore_points')
      .where({ job_id: request.jobId, state: 'kept', ...(request.completeOnly ? { complete: 1 } : {}) })
      .orderBy('generation', 'desc')
      .select('*')
      .first()) as Record<string, unknown> | undefined;
    if (!candidate) return null;
    const point = toPoint(candidate);
    const token = await holdPoint(database, { ...request, pointId: point.id });
    // Marked between the two statements: the next newest is asked for.
    if (token !== null) return { token, point };
  }
}

/** Takes a hold on one point. Null: it is not kept any more. */
export async function holdPoint(
  database: Database,
  request: { pointId: number; runUuid: string; purpose: HoldPurpose; ttlMs: number },
): Promise<string | null> {
  const token = randomBytes(18).toString('base64url');
  return await database.transaction(async (trx) => {
    const counted = await trx('s3_cloudbackup_restore_points')
      .where({ id: request.pointId, state: 'kept' })
      .update({ holds: trx.raw('holds + 1') });
    if (counted === 0) return null;
    await trx('s3_cloudbackup_holds').insert({
      point_id: request.pointId,
      run_uuid: request.runUuid,
      purpose: request.purpose,
      token,
      expires_at: database.now(request.ttlMs),
      created_at: database.now(),
    });
    return token;
  });
}

/** Renews holds. Returns how many of them still exist: fewer than given means one was lost. */
export async function renewHolds(database: Database, tokens: readonly string[], ttlMs: number): Promise<number> {
  if (tokens.length === 0) return 0;
  return await database
    .knex('s3_cloudbackup_holds')
    .whereIn('token', [...tokens])
    .update({ expires_at: database.now(ttlMs) });
}

/** Gives holds back; unknown tokens are ignored. */
export async function releaseHolds(executor: Executor, tokens: readonly string[]): Promise<void> {
  for (const token of tokens) {
    const row = (await executor('s3_cloudbackup_holds').where({ token }).select('id', 'point_id').first()) as
      { id: number; point_id: number } | undefined;
    if (!row) continue;
    const gone = await executor('s3_cloudbackup_holds').where({ id: row.id }).delete();
    if (gone > 0)
      await executor('s3_cloudbackup_restore_points')
        .where({ id: row.point_id })
        .where('holds', '>', 0)
        .update({ holds: executor.raw('holds - 1') });
  }
}

/** Gives back the holds of runs that are over or were taken over: nobody renewed them in time. */
export async function releaseExpiredHolds(database: Database, limit = 200): Promise<number> {
  const rows = (await database
    .knex('s3_cloudbackup_holds')
    .where('expires_at', '<', database.now())
    .limit(limit)
    .select('token')) as { token: string }[];
  for (const row of rows) await database.transaction(async (trx) => await releaseHolds(trx, [row.token]));
  return rows.length;
}

/**
 * One point of a client, by its uuid, by that of its run, or the newest of a job that is not later than a moment (epoch milliseconds). Null: none, or another client's, or not kept. */
export async function findKeptPoint(
  database: Database,
  clientId: number | null,
  reference: { point: string } | { run: string } | { job: string; moment: number },
): Promise<
  | (PointRow & {
      jobId: number;
      clientId: number;
      bucketId: number;
      bucket: string;
      prefix: string;
      files: number;
      bytes: number;
    })
  | null
> {
  const query = database.knex('s3_cloudbackup_restore_points').where({ state: 'kept' });
  if (clientId !== null) void query.where({ client_id: clientId });
  if ('job' in reference) {
    const job = database.knex('s3_cloudbackup_jobs').where({ uuid: reference.job }).select('id');
    const at = toDatabaseTime(reference.moment);
    void query.where('job_id', job).where('created_at', '<=', at).orderBy('generation', 'desc');
  } else if ('point' in reference) void query.where({ uuid: reference.point });
  else void query.where('run_id', database.knex('s3_cloudbackup_runs').where({ uuid: reference.run }).select('id'));
  const row = (await query.select('*').first()) as Record<string, unknown> | undefined;
  if (!row) return null;
  return {
    ...toPoint(row),
    jobId: Number(row['job_id']),
    clientId: Number(row['client_id']),
    bucketId: Number(row['dest_bucket_id']),
    bucket: String(row['dest_bucket']),
    prefix: String(row['dest_prefix']),
    files: Number(row['files']),
    bytes: Number(row['bytes']),
  };
}
