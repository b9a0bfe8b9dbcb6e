import type { Database } from './connect.ts';
import { fromDatabaseTime } from './times.ts';

export interface WorkerRegistration {
  readonly uuid: string;
  readonly hostname: string;
  readonly version: string;
  readonly tools: Readonly<Record<string, string>>;
  readonly pid: number;
  readonly maxConcurrent: number;
}

export type WorkerState = 'running' | 'stopping' | 'stopped';

/** Makes the worker's row, or brings it up to date: one row a process, found again by its uuid. */
export async function registerWorker(database: Database, worker: WorkerRegistration): Promise<void> {
  const row = {
    hostname: worker.hostname,
    version: worker.version,
    tools_json: JSON.stringify(worker.tools),
    pid: worker.pid,
    state: 'running' satisfies WorkerState,
    max_concurrent: worker.maxConcurrent,
    last_seen_at: database.now(),
  };
  await database
    .knex('s3_cloudbackup_workers')
    .insert({ uuid: worker.uuid, ...row, started_at: database.now() })
    .onConflict('uuid')
    .merge(row);
}

export async function reportWorker(database: Database, uuid: string, state: WorkerState): Promise<void> {
  await database.knex('s3_cloudbackup_workers').where({ uuid }).update({ state, last_seen_at: database.now() });
}

/** True when a worker has reported within `withinMs`: then somebody picks up commands. */
export async function isAnyWorkerAlive(database: Database, withinMs: number): Promise<boolean> {
  const row: unknown = await database
    .knex('s3_cloudbackup_workers')
    .where('last_seen_at', '>=', database.now(-withinMs))
    .where('state', 'running')
    .select('id')
    .first();
  return row !== undefined;
}

export interface WorkerStatus {
  readonly uuid: string;
  readonly hostname: string;
  readonly version: string;
  readonly tools: Readonly<Record<string, string>>;
  readonly state: WorkerState;
  readonly maxConcurrent: number;
  readonly activeRuns: number;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly lastSeenAt: number;
}

/** For operators: every worker seen within the last week, the newest sign of life first. */
export async function listWorkers(database: Database): Promise<WorkerStatus[]> {
  const rows = (await database
    .knex('s3_cloudbackup_workers')
    .where('last_seen_at', '>=', database.now(-7 * 86_400_000))
    .orderBy('last_seen_at', 'desc')
    .limit(500)
    .select('*')) as Record<string, unknown>[];
  const active = (await database
    .knex('s3_cloudbackup_runs')
    .whereIn('status', ['starting', 'running'])
    .whereNotNull('worker_uuid')
    .groupBy('worker_uuid')
    .select('worker_uuid')
    .count({ runs: '*' })) as { worker_uuid: string; runs: number }[];
  const counts = new Map(active.map((row) => [row.worker_uuid, Number(row.runs)]));
  return rows.map((row) => ({
    uuid: String(row['uuid']),
    hostname: String(row['hostname']),
    version: String(row['version']),
    tools: JSON.parse(String(row['tools_json'] ?? '{}')) as Record<string, string>,
    state: row['state'] as WorkerState,
    maxConcurrent: Number(row['max_concurrent']),
    activeRuns: counts.get(String(row['uuid'])) ?? 0,
    startedAt: fromDatabaseTime(String(row['started_at'])),
    lastSeenAt: fromDatabaseTime(String(row['last_seen_at'])),
  }));
}

/** Rows of processes that have been silent for a week go; restarts would pile them up. */
export async function forgetOldWorkers(database: Database): Promise<number> {
  return await database
    .knex('s3_cloudbackup_workers')
    .where('last_seen_at', '<', database.now(-7 * 86_400_000))
    .delete();
}
