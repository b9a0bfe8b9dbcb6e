import type { Knex } from 'knex';
import type { Database } from './connect.ts';
import type { NoticeStatus } from './outbox.ts';
import { toDatabaseTime } from './times.ts';

export interface PruneOptions {
  /** Epoch milliseconds: older rows go. */
  readonly before: number;
  /** Rows in one DELETE; default 5,000. */
  readonly batch?: number;
  readonly signal?: AbortSignal;
}

/** Deletes events older than `before` in short transactions, and returns how many. */
export async function pruneEvents(database: Database, options: PruneOptions): Promise<number> {
  return await pruneByTime(database, 's3_cloudbackup_run_events', 'ts', options);
}

/** As `pruneEvents`, for the runs' text logs. */
export async function pruneLogs(database: Database, options: PruneOptions): Promise<number> {
  return await pruneByTime(database, 's3_cloudbackup_run_logs', 'created_at', options);
}

/** As `pruneEvents`, for the agents' health events. */
export async function pruneAgentEvents(database: Database, options: PruneOptions): Promise<number> {
  return await pruneByTime(database, 's3_cloudbackup_agent_events', 'ts', options);
}

/** The ids first, by the index on time: neither database deletes with a limit in a way that the other one knows. */
async function pruneByTime(database: Database, table: string, column: string, options: PruneOptions): Promise<number> {
  const batch = options.batch ?? 5_000;
  let deleted = 0;
  for (;;) {
    if (options.signal?.aborted) return deleted;
    const rows = (await oldestRows(database, table, column, options.before).limit(batch).select('id')) as {
      id: number;
    }[];
    if (rows.length > 0) {
      deleted += await database
        .knex(table)
        .whereIn(
          'id',
          rows.map((row) => row.id),
        )
        .delete();
    }
    if (rows.length < batch) return deleted;
  }
}

export function oldestRows(database: Database, table: string, column: string, before: number): Knex.QueryBuilder {
  return database.knex(table).where(column, '<', toDatabaseTime(before)).orderBy(column);
}

/** Deletes notices that were settled before `before` (epoch milliseconds), by number: they were written in order. Returns how many. */
export async function pruneNotices(database: Database, options: PruneOptions): Promise<number> {
  const batch = options.batch ?? 1_000;
  const before = toDatabaseTime(options.before);
  let deleted = 0;
  for (let afterId = 0; !options.signal?.aborted;) {
    const rows = (await database
      .knex('s3_cloudbackup_outbox')
      .where('id', '>', afterId)
      .orderBy('id')
      .limit(batch)
      .select('id', 'status', 'created_at')) as { id: number; status: NoticeStatus; created_at: string }[];
    const old = rows.filter((row) => row.created_at < before);
    const settledIds = old.filter((row) => row.status !== 'pending' && row.status !== 'sending').map((row) => row.id);
    if (settledIds.length > 0)
      deleted += await database.knex('s3_cloudbackup_outbox').whereIn('id', settledIds).delete();
    if (old.length < rows.length || rows.length < batch) break;
    afterId = Number(rows.at(-1)?.id);
  }
  return deleted;
}

/** Deletes the reports of runs that were queued before `before`, by number: they were written in order. Returns how many rows. */
export async function pruneRunFiles(database: Database, options: PruneOptions): Promise<number> {
  const batch = options.batch ?? 5_000;
  const before = toDatabaseTime(options.before);
  let deleted = 0;
  while (!options.signal?.aborted) {
    const rows = (await oldestRunFiles(database, batch)) as { id: number; created_at: string }[];
    const old = rows.filter((row) => row.created_at < before).map((row) => row.id);
    if (old.length > 0) deleted += await database.knex('s3_cloudbackup_run_files').whereIn('id', old).delete();
    if (old.length < rows.length || rows.length < batch) break;
  }
  return deleted;
}

export function oldestRunFiles(database: Database, limit: number): Knex.QueryBuilder {
  const { knex } = database;
  const page = knex('s3_cloudbackup_run_files').where('id', '>', 0).orderBy('id').limit(limit).select('id', 'run_id');
  return knex(page.as('page'))
    .join('s3_cloudbackup_runs as r', 'r.id', 'page.run_id')
    .select('page.id', 'r.created_at');
}
