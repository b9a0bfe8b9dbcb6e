import type { Knex } from 'knex';
import type { Database } from './connect.ts';
import { enqueueNotice } from './outbox.ts';
import {
  pageByTime,
  scheduledJobs,
  toScheduledJob,
  type Cursor,
  type ScheduledJob,
  type ScheduledJobRow,
} from './schedule.ts';
import { toDatabaseTime } from './times.ts';

const JOBS = 's3_cloudbackup_jobs';

/** Active jobs whose promise of a good point has run out, by deadline and number, after the cursor. */
export function brokenPromises(
  database: Database,
  now: number,
  after: Cursor | null,
  limit: number,
): Knex.QueryBuilder {
  return pageByTime(scheduledJobs(database.knex), 'j.good_by', now, after, limit);
}

export async function findBrokenPromises(
  database: Database,
  now: number,
  after: Cursor | null,
  limit: number,
): Promise<ScheduledJob[]> {
  return ((await brokenPromises(database, now, after, limit)) as ScheduledJobRow[]).map(toScheduledJob);
}

/** The row of the job, if its promise and its last good point are still those that were read. */
function unchanged(trx: Knex.Transaction, job: ScheduledJob): Knex.QueryBuilder {
  return trx(JOBS)
    .where({ id: job.id, status: 'active', good_by: job.goodBy === null ? null : toDatabaseTime(job.goodBy) })
    .where('last_good_at', job.lastGoodAt === null ? null : toDatabaseTime(job.lastGoodAt));
}

/**
 * A job becomes overdue: its row says since when, and one notice is written, in one transaction. False: it was changed meanwhile, or
 * somebody else has done so.
 */
export async function beginOverdue(database: Database, job: ScheduledJob, now: number): Promise<boolean> {
  const since = job.goodBy;
  if (since === null) return false;
  return await database.transaction(async (trx) => {
    const changed = await unchanged(trx, job)
      .whereNull('overdue_since')
      .update({ overdue_since: toDatabaseTime(since) });
    if (changed === 0) return false;
    await enqueueNotice(trx, database, {
      dedupeKey: `overdue:${job.uuid}:${since}`,
      kind: 'overdue',
      clientId: job.clientId,
      jobId: job.id,
      payload: { since, last_good_at: job.lastGoodAt },
      now,
    });
    return true;
  });
}

/** The promise was met, or nothing is promised any more: the next deadline is set, and the job is not overdue. */
export async function renewPromise(database: Database, job: ScheduledJob, goodBy: number | null): Promise<boolean> {
  return await database.transaction(async (trx) => {
    const changed = await unchanged(trx, job).update({
      good_by: goodBy === null ? null : toDatabaseTime(goodBy),
      overdue_since: null,
    });
    return changed > 0;
  });
}

/** Jobs that were paused, or run by hand from now on, while they were overdue: nothing is promised any more. */
export async function forgetOverdue(database: Database): Promise<number> {
  return await forgottenOverdue(database).update({ overdue_since: null });
}

export function forgottenOverdue(database: Database): Knex.QueryBuilder {
  return (
    database
      .knex(JOBS)
      // Every time is greater than no text; "is not null" uses no index in SQLite.
      .where('overdue_since', '>', '')
      .where((idle) => void idle.whereNull('good_by').orWhereNot('status', 'active'))
  );
}
