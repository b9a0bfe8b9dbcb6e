import type { Database } from '../database/connect.ts';
import { queueRun } from '../database/queue.ts';
import {
  expireQueuedRuns,
  findDueJobs,
  insertSkippedRun,
  moveOn,
  timezoneOf,
  waitForRoom,
  type Cursor,
  type ScheduledJob,
  type SkipReason,
} from '../database/schedule.ts';
import { fromDatabaseTime, toDatabaseTime } from '../database/times.ts';
import { event } from '../events/catalogue.ts';
import type { HostRecords, ServiceState } from '../host/port.ts';
import type { Logger } from '../log.ts';
import { describeError } from '../log.ts';
import { parseSchedule, type Schedule } from '../schedule/schedule.ts';
import { dueSlots, nextSlot, type DueSlots } from '../schedule/slots.ts';

/** A slot that is carried out later than this was missed: nobody was there in its time. */
const LATE_MS = 10 * 60_000;

export interface SchedulerOptions {
  readonly database: Database;
  readonly records: Pick<HostRecords, 'serviceState' | 'timezone'>;
  /** Zone for clients of whom neither they nor the host say one. Default UTC. */
  readonly defaultTimezone?: string;
  /** Epoch milliseconds; by default the database's clock. */
  readonly clock?: () => number;
  /** Jobs in one query. Default 200. */
  readonly batch?: number;
  readonly signal?: AbortSignal;
  readonly log?: Logger;
}

export interface SchedulerReport {
  queued: number;
  /** Of the queued ones, those that make up for slots that were missed. */
  caughtUp: number;
  /** Rows of slots without a run. */
  skipped: number;
  /** Slots that wait until maintenance or validation has made room. */
  waiting: number;
  /** Queued runs that nobody took in time. */
  expired: number;
  /** Jobs that could not be looked after now; they stay due. */
  failed: number;
}

type Outcome = Pick<SchedulerReport, 'queued' | 'caughtUp' | 'skipped' | 'waiting'>;

/**
 * Queues every run whose time has come. Any number of schedulers may do so at once and be killed at any point: each slot is taken
 * in one transaction that moves the job on from exactly the slot that was read, and has one row under a unique key.
 */
export async function runSchedulerOnce(options: SchedulerOptions): Promise<SchedulerReport> {
  const { database } = options;
  const now = options.clock?.() ?? fromDatabaseTime(await database.readClock());
  const pass = new Pass(options, now);
  const batch = options.batch ?? 200;
  // First, so that a run nobody took does not cost the job its next slot.
  pass.report.expired = await expireQueuedRuns(database, now);
  for (let after: Cursor | null = null; !options.signal?.aborted;) {
    const jobs = await findDueJobs(database, now, after, batch);
    await pass.serve(jobs);
    const last = jobs.at(-1);
    if (last === undefined || jobs.length < batch) break;
    after = { time: toDatabaseTime(last.nextRunAt ?? now), id: last.id };
  }
  return pass.report;
}

interface Slots extends DueSlots {
  readonly first: number;
  /** The last one was due more than LATE_MS ago. */
  readonly late: boolean;
}

/** One pass over the jobs that are due, with what it learns about their clients. */
class Pass {
  readonly report: SchedulerReport = { queued: 0, caughtUp: 0, skipped: 0, waiting: 0, expired: 0, failed: 0 };
  readonly #options: SchedulerOptions;
  readonly #now: number;
  readonly #clients = new Map<number, Promise<{ state: ServiceState; timezone: string | null }>>();

  constructor(options: SchedulerOptions, now: number) {
    this.#options = options;
    this.#now = now;
  }

  /** Several at a time where the database takes several writers, so that a busy midnight is over in seconds. */
  async serve(jobs: readonly ScheduledJob[]): Promise<void> {
    const waiting = [...jobs];
    const lane = async (): Promise<void> => {
      for (let job = waiting.shift(); job !== undefined && !this.#options.signal?.aborted; job = waiting.shift()) {
        await this.#serveOne(job);
      }
    };
    const lanes = this.#options.database.dialect === 'sqlite' ? 1 : 4;
    await Promise.all(Array.from({ length: lanes }, lane));
  }

  async #serveOne(job: ScheduledJob): Promise<void> {
    try {
      const outcome = await this.#take(job);
      this.report.queued += outcome.queued;
      this.report.caughtUp += outcome.caughtUp;
      this.report.skipped += outcome.skipped;
      this.report.waiting += outcome.waiting;
    } catch (error) {
      // One job that cannot be looked after must not keep the others waiting; it stays due.
      this.report.failed += 1;
      this.#options.log?.error('a job could not be scheduled', { job: job.uuid, error: describeError(error) });
    }
  }

  async #take(job: ScheduledJob): Promise<Outcome> {
    if (job.nextRunAt === null) return nothing;
    const parsed = parseSchedule(job.schedule);
    const planned = job.nextRunAt - job.jitterMs;
    if (!parsed.ok) return await this.#stop(job, planned);
    if (parsed.schedule.type === 'manual') return await this.#forget(job);
    const client = await this.#client(job.clientId);
    const timezone = timezoneOf(job, client.timezone);
    const due = dueSlots(parsed.schedule, planned, this.#now - job.jitterMs, timezone);
    const slots: Slots = { ...due, first: planned, late: this.#now - due.last - job.jitterMs > LATE_MS };
    const next = nextSlot(parsed.schedule, due.last, timezone);
    const following = next === null ? null : next + job.jitterMs;
    if (client.state !== 'active') return await this.#skip(job, following, slots, 'suspended');
    if (slots.late && !job.catchUp) return await this.#skip(job, following, slots, 'missed');
    return await this.#queue(job, following, slots, parsed.schedule, timezone);
  }

  /** The schedule cannot be read: no further runs until somebody saves it again, and a row that says so. */
  async #stop(job: ScheduledJob, planned: number): Promise<Outcome> {
    return await this.#skip(job, null, { first: planned, last: planned, count: 1, late: false }, 'schedule');
  }

  /** A job by hand that still has a time: it was changed without being planned anew. */
  async #forget(job: ScheduledJob): Promise<Outcome> {
    await this.#options.database.transaction(async (trx) => await moveOn(trx, job, null));
    return nothing;
  }

  async #skip(job: ScheduledJob, next: number | null, slots: Slots, reason: SkipReason): Promise<Outcome> {
    const { database } = this.#options;
    return await database.transaction(async (trx) => {
      if (!(await moveOn(trx, job, next))) return nothing;
      const inserted = await insertSkippedRun(trx, database, job, {
        reason,
        slotAt: slots.last,
        firstSlotAt: slots.first,
        missed: slots.count,
        now: this.#now,
      });
      return inserted ? { ...nothing, skipped: 1 } : nothing;
    });
  }

  async #queue(
    job: ScheduledJob,
    next: number | null,
    slots: Slots,
    schedule: Schedule,
    timezone: string,
  ): Promise<Outcome> {
    const { database } = this.#options;
    const now = this.#now;
    const missed = slots.late ? slots.count : slots.count - 1;
    const catchUp = missed > 0 && job.catchUp;
    const first = slots.first;
    // Without catching up, slots before the present one have a row of their own.
    const left = missed > 0 && !job.catchUp ? dueSlots(schedule, first, slots.last - 1, timezone) : null;
    return await database.transaction(async (trx) => {
      if (!(await moveOn(trx, job, next))) return nothing;
      let skipped = 0;
      if (left !== null) {
        const row = { reason: 'missed' as const, slotAt: left.last, firstSlotAt: first, missed: left.count, now };
        if (await insertSkippedRun(trx, database, job, row)) skipped += 1;
      }
      const result = await queueRun(trx, database, job, {
        trigger: 'schedule',
        slotAt: slots.last,
        ...(catchUp
          ? {
              startReason: 'catch_up',
              events: [event('CATCH_UP', { missed, first_slot_at: first, slot_at: slots.last })],
            }
          : {}),
        now,
      });
      if (result.outcome === 'queued') return { ...nothing, queued: 1, caughtUp: catchUp ? 1 : 0, skipped };
      if (result.outcome === 'slot_taken') return { ...nothing, skipped };
      if (result.yielding) {
        await waitForRoom(trx, job, slots.last + job.jitterMs);
        return { ...nothing, waiting: 1, skipped };
      }
      const overlap = {
        reason: 'overlap' as const,
        slotAt: slots.last,
        firstSlotAt: catchUp ? first : slots.last,
        missed: catchUp ? slots.count : 1,
        activeRunUuid: result.existing.uuid,
        now,
      };
      if (await insertSkippedRun(trx, database, job, overlap)) skipped += 1;
      return { ...nothing, skipped };
    });
  }

  /** Asked once a pass and client, before any transaction. */
  #client(clientId: number): Promise<{ state: ServiceState; timezone: string | null }> {
    let asked = this.#clients.get(clientId);
    if (asked === undefined) {
      asked = this.#ask(clientId);
      this.#clients.set(clientId, asked);
    }
    return asked;
  }

  async #ask(clientId: number): Promise<{ state: ServiceState; timezone: string | null }> {
    const [state, timezone] = await Promise.all([
      this.#options.records.serviceState(clientId),
      this.#options.records.timezone(clientId),
    ]);
    return { state, timezone: timezone ?? this.#options.defaultTimezone ?? null };
  }
}

const nothing: Outcome = { queued: 0, caughtUp: 0, skipped: 0, waiting: 0 };
