import type { Database } from '../database/connect.ts';
import { beginOverdue, findBrokenPromises, forgetOverdue, renewPromise } from '../database/overdue.ts';
import { timezoneOf, type Cursor, type ScheduledJob } from '../database/schedule.ts';
import { fromDatabaseTime, toDatabaseTime } from '../database/times.ts';
import type { HostRecords } from '../host/port.ts';
import { describeError, type Logger } from '../log.ts';
import { goodPointDue, judgeOverdue } from '../schedule/overdue.ts';
import { parseSchedule } from '../schedule/schedule.ts';

export interface OverdueOptions {
  readonly database: Database;
  readonly records: Pick<HostRecords, 'serviceState' | 'timezone'>;
  /** Zone for clients of whom neither they nor the host say one. Default UTC. */
  readonly defaultTimezone?: string;
  /** Epoch milliseconds; by default the database's clock. */
  readonly clock?: () => number;
  readonly batch?: number;
  readonly signal?: AbortSignal;
  readonly log?: Logger;
}

export interface OverdueReport {
  /** Became overdue in this pass. */
  begun: number;
  /** Have their good point, and a new deadline. */
  met: number;
}

/**
 * Looks at every job whose promise has run out. It depends on nothing but the job's row, so it also finds the job whose runs nobody
 * started: a scheduler that is down is told by its customers' overdue backups.
 */
export async function watchOverdue(options: OverdueOptions): Promise<OverdueReport> {
  const { database } = options;
  const now = options.clock?.() ?? fromDatabaseTime(await database.readClock());
  const batch = options.batch ?? 200;
  const report: OverdueReport = { begun: 0, met: 0 };
  await forgetOverdue(database);
  for (let after: Cursor | null = null; !options.signal?.aborted;) {
    const jobs = await findBrokenPromises(database, now, after, batch);
    for (const job of jobs) await look(options, job, now, report);
    const last = jobs.at(-1);
    if (last === undefined || jobs.length < batch) break;
    after = { time: toDatabaseTime(last.goodBy ?? now), id: last.id };
  }
  return report;
}

async function look(options: OverdueOptions, job: ScheduledJob, now: number, report: OverdueReport): Promise<void> {
  const { database, records, log } = options;
  try {
    const allowanceMs = job.jitterMs + job.graceMs;
    const verdict = judgeOverdue({ ...job, allowanceMs }, now);
    if (verdict === 'waiting' || verdict === 'overdue') return;
    const state = await records.serviceState(job.clientId);
    if (verdict === 'begin' && state === 'active') {
      if (await beginOverdue(database, job, now)) report.begun += 1;
      return;
    }
    // A client that is not served is promised nothing until its next slot.
    const from = verdict === 'met' && job.lastGoodAt !== null ? job.lastGoodAt : now;
    const parsed = parseSchedule(job.schedule);
    const timezone = timezoneOf(job, (await records.timezone(job.clientId)) ?? options.defaultTimezone ?? null);
    const next = parsed.ok ? goodPointDue(parsed.schedule, from, timezone, job) : null;
    if (await renewPromise(database, job, next)) report.met += 1;
  } catch (error) {
    log?.error('a job could not be checked for being overdue', { job: job.uuid, error: describeError(error) });
  }
}
