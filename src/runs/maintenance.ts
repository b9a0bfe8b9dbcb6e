import type { Database } from '../database/connect.ts';
import { beginEnding, extendEnding, endEnding, giveUpEnded } from '../database/ended-services.ts';
import { dropNeverWritten } from '../database/job-data.ts';
import {
  applyPending,
  findDueMaintenance,
  hastenMaintenance,
  maintainedStates,
  moveMaintenanceOn,
  type MaintainedJob,
  type MaintenanceCursor,
} from '../database/maintenance.ts';
import { queueRun } from '../database/queue.ts';
import { fromDatabaseTime } from '../database/times.ts';
import type { HostRecords, ServiceState } from '../host/port.ts';
import { describeError, type Logger } from '../log.ts';

/** Repeated for ever while a job has data: a worker that was cut off may have left something even after the last look. */
const DAY_MS = 24 * 3_600_000;
const AGAIN_MS = DAY_MS;
/** A run of the job is in the way: it sets the next time itself when it commits a point; this is for when it does not. */
const BUSY_MS = 10 * 60_000;
/** The service is suspended or terminated: whether it still is, is asked again after so long. */
const SUSPENDED_MS = 3_600_000;

export interface MaintenanceOptions {
  readonly database: Database;
  readonly records: Pick<HostRecords, 'serviceState' | 'timezone' | 'terminatedGraceDays'>;
  /** Zone for clients of whom neither they nor the host say one. Default UTC. */
  readonly defaultTimezone?: string;
  /** Jobs in one query. Default 200. */
  readonly batch?: number;
  readonly signal?: AbortSignal;
  readonly log?: Logger;
}

export interface MaintenanceReport {
  /** Maintenance runs that workers may take now. */
  queued: number;
  /** Retentions whose cool-off was over. */
  applied: number;
  /** Deleted jobs that ended without a worker, because nothing was ever written. */
  dropped: number;
  /** Jobs that wait: their service is suspended or terminated, or a run is in the way. */
  waiting: number;
  /** Jobs whose data goes when the grace of their terminated service is over, and those whose service came back before. */
  ending: number;
  stays: number;
  /** Jobs that could not be looked after now; they stay due. */
  failed: number;
}

/**
 * Queues a maintenance run for every job whose time has come. Any number of processes may do so at once and be killed at any point: each
 * job is moved on, in one transaction with its run, from exactly what was read. Workers alone touch buckets.
 */
export async function runMaintenanceOnce(options: MaintenanceOptions): Promise<MaintenanceReport> {
  const { database, batch = 200 } = options;
  const pass = new Pass(options, fromDatabaseTime(await database.readClock()));
  for (const state of maintainedStates) {
    for (let after: MaintenanceCursor | null = null; !options.signal?.aborted;) {
      const jobs = await findDueMaintenance(database, state, pass.now, after, batch);
      for (const job of jobs) await pass.serve(job);
      const last = jobs.at(-1);
      if (last === undefined || jobs.length < batch) break;
      after = { maintenanceAt: last.maintenanceAt, id: last.id };
    }
  }
  return pass.report;
}

interface Client {
  readonly state: ServiceState;
  readonly timezone: string | null;
  /** For how long the data of a terminated service stays; null: for good. */
  readonly graceDays: number | null;
}

/** One pass over the jobs that are due, with what it learns about their clients. */
class Pass {
  readonly now: number;
  readonly report: MaintenanceReport = {
    queued: 0,
    applied: 0,
    dropped: 0,
    waiting: 0,
    ending: 0,
    stays: 0,
    failed: 0,
  };
  readonly #options: MaintenanceOptions;
  readonly #clients = new Map<number, Promise<Client>>();

  constructor(options: MaintenanceOptions, now: number) {
    this.#options = options;
    this.now = now;
  }

  async serve(job: MaintainedJob): Promise<void> {
    if (this.#options.signal?.aborted) return;
    try {
      await this.#take(job);
    } catch (error) {
      // One job that cannot be looked after must not keep the others waiting; it stays due.
      this.report.failed += 1;
      this.#options.log?.error('maintenance of a job could not be queued', {
        job: job.uuid,
        error: describeError(error),
      });
    }
  }

  async #take(job: MaintainedJob): Promise<void> {
    const client = await this.#client(job.clientId);
    const dataGoes = job.dataState === 'deleting' || (job.dataState === 'grace' && this.#isOver(job.dataDeleteAt));
    if (job.dataState === 'ending') return await this.#serveEnding(job, client);
    if (client.state === 'suspended') return await this.#wait(job, this.now + SUSPENDED_MS);
    if (client.state === 'terminated' && job.dataState === 'kept' && client.graceDays !== null)
      return await this.#beginEnding(job, client.graceDays);
    if (client.state === 'terminated' && !dataGoes) return await this.#wait(job, this.now + AGAIN_MS);
    // Until the grace is over nothing is removed, whatever was due before the job was deleted.
    if (job.dataState === 'grace' && !dataGoes) return await this.#wait(job, job.dataDeleteAt ?? this.now + AGAIN_MS);
    await this.#queue(job, dataGoes, client.timezone);
  }

  async #beginEnding(job: MaintainedJob, graceDays: number): Promise<void> {
    const { database } = this.#options;
    const at = this.now + graceDays * DAY_MS;
    const begun = await database.transaction(async (trx) => {
      if (!(await moveMaintenanceOn(trx, job, Math.min(at, this.now + SUSPENDED_MS)))) return false;
      await beginEnding(database, trx, job, { since: this.now, at });
      return true;
    });
    if (begun) this.report.ending += 1;
  }

  /** The service was terminated when it was last asked for. A host that keeps such data for good is obeyed also for what is ending. */
  async #serveEnding(job: MaintainedJob, client: Client): Promise<void> {
    const { database } = this.#options;
    if (client.state !== 'terminated' || client.graceDays === null) {
      const stays = await database.transaction(async (trx) => {
        if (!(await moveMaintenanceOn(trx, job, this.now))) return false;
        await endEnding(database, trx, job);
        return true;
      });
      if (stays) this.report.stays += 1;
      return;
    }
    // Never earlier than the date that was told.
    const until = Math.max(job.dataDeleteAt ?? 0, (job.dataEndingSince ?? 0) + client.graceDays * DAY_MS);
    if (job.dataEndingSince !== null && until > (job.dataDeleteAt ?? 0)) return await this.#extendEnding(job, until);
    if (!this.#isOver(job.dataDeleteAt))
      return await this.#wait(job, Math.min(job.dataDeleteAt ?? Infinity, this.now + SUSPENDED_MS));
    const given = await database.transaction(async (trx) => {
      if (!(await moveMaintenanceOn(trx, job, this.now + BUSY_MS))) return false;
      return await giveUpEnded(database, trx, job);
    });
    if (!given) {
      this.report.waiting += 1;
      return;
    }
    await this.#queue(
      { ...job, dataState: 'grace', maintenanceAt: this.now + BUSY_MS, pendingActsAt: null },
      true,
      client.timezone,
    );
  }

  async #extendEnding(job: MaintainedJob, until: number): Promise<void> {
    const { database } = this.#options;
    await database.transaction(async (trx) => {
      if (await moveMaintenanceOn(trx, job, Math.min(until, this.now + SUSPENDED_MS)))
        await extendEnding(database, trx, job, until);
    });
    this.report.waiting += 1;
  }

  async #wait(job: MaintainedJob, next: number): Promise<void> {
    await this.#options.database.transaction(async (trx) => await moveMaintenanceOn(trx, job, next));
    this.report.waiting += 1;
  }

  async #queue(job: MaintainedJob, dataGoes: boolean, timezone: string | null): Promise<void> {
    const { database } = this.#options;
    const acts = this.#isOver(job.pendingActsAt);
    const next = Math.min(this.now + AGAIN_MS, acts ? Infinity : (job.pendingActsAt ?? Infinity));
    const done = await database.transaction(async (trx) => {
      if (!(await moveMaintenanceOn(trx, job, next))) return null;
      if (dataGoes && job.dataState === 'grace' && (await dropNeverWritten(database, trx, job.id))) return 'dropped';
      const queued = await queueRun(trx, database, job, {
        kind: 'maintenance',
        trigger: 'schedule',
        ...(timezone === null ? {} : { options: { timezone } }),
      });
      const busy = queued.outcome !== 'queued';
      if (busy) await hastenMaintenance(database, trx, job.id, BUSY_MS);
      const applied = acts && (await applyPending(database, trx, job));
      return { busy, applied };
    });
    if (done === null) return;
    if (done === 'dropped') this.report.dropped += 1;
    else {
      this.report[done.busy ? 'waiting' : 'queued'] += 1;
      if (done.applied) this.report.applied += 1;
    }
  }

  #isOver(at: number | null): boolean {
    return at !== null && at <= this.now;
  }

  /** Asked once a pass and client, before any transaction. */
  #client(clientId: number): Promise<Client> {
    let asked = this.#clients.get(clientId);
    if (asked === undefined) {
      asked = this.#ask(clientId);
      this.#clients.set(clientId, asked);
    }
    return asked;
  }

  async #ask(clientId: number): Promise<Client> {
    const { records, defaultTimezone } = this.#options;
    const [state, timezone] = await Promise.all([records.serviceState(clientId), records.timezone(clientId)]);
    const graceDays = state === 'terminated' ? ((await records.terminatedGraceDays?.(clientId)) ?? null) : null;
    return { state, timezone: timezone ?? defaultTimezone ?? null, graceDays };
  }
}
