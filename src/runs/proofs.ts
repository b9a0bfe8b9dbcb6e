import type { Database, Transaction } from '../database/connect.ts';
import {
  findDueProofs,
  lastProof,
  markDrillOverdue,
  moveProofOn,
  newestKeptPoint,
  putProofOff,
  type DueProof,
  type ProofName,
} from '../database/proofs.ts';
import { queueRun } from '../database/queue.ts';
import type { Cursor } from '../database/schedule.ts';
import { fromDatabaseTime, toDatabaseTime } from '../database/times.ts';
import { event } from '../events/catalogue.ts';
import type { HostRecords, ServiceState } from '../host/port.ts';
import { describeError, type Logger } from '../log.ts';

const DAY_MS = 86_400_000;
/** When a job is busy, its validation is looked at again after this time. */
const BUSY_MS = 15 * 60_000;
/** Files of one validation by schedule. */
const SAMPLE_FILES = 1_000;

export interface ProofsOptions {
  readonly database: Database;
  readonly records: Pick<HostRecords, 'serviceState'>;
  /** Epoch milliseconds; by default the database's clock. */
  readonly clock?: () => number;
  /** Jobs in one query. Default 200. */
  readonly batch?: number;
  readonly signal?: AbortSignal;
  readonly log?: Logger;
}

export interface ProofsReport {
  /** Validations and restore tests that were queued. */
  validations: number;
  drills: number;
  /** Put off: the service is suspended, there is nothing to prove yet, or another run holds the job. */
  putOff: number;
  /** Restore tests that are overdue by now. */
  overdue: number;
  /** Jobs that could not be looked after now; they stay due. */
  failed: number;
}

/**
 * Queues every validation and restore test whose time has come. Any number of processes may do so at once and be killed at any point: each
 * date is taken in the one transaction that moves the job on from it.
 *
 * A job is moved on by a day only; the end of the run sets the date of the next one. So one that failed, or was lost, is repeated each
 * day until it is good, and when that happens to a restore test, the job says since when it has been overdue.
 */
export async function runProofsOnce(options: ProofsOptions): Promise<ProofsReport> {
  const { database } = options;
  const now = options.clock?.() ?? fromDatabaseTime(await database.readClock());
  const pass = new Pass(options, now);
  for (const name of ['validation', 'drill'] as const) await pass.serve(name);
  return pass.report;
}

class Pass {
  readonly report: ProofsReport = { validations: 0, drills: 0, putOff: 0, overdue: 0, failed: 0 };
  readonly #options: ProofsOptions;
  readonly #now: number;
  readonly #clients = new Map<number, Promise<ServiceState>>();

  constructor(options: ProofsOptions, now: number) {
    this.#options = options;
    this.#now = now;
  }

  async serve(name: ProofName): Promise<void> {
    const { database, batch = 200, signal, log } = this.#options;
    for (let after: Cursor | null = null; signal?.aborted !== true;) {
      const jobs: DueProof[] = await findDueProofs(database, name, this.#now, after, batch);
      for (const job of jobs) {
        if (signal?.aborted) return;
        try {
          await this.#take(name, job);
        } catch (error) {
          // One job that cannot be looked after must not keep the others waiting; it stays due.
          this.report.failed += 1;
          log?.error('a validation or restore test could not be queued', {
            job: job.uuid,
            error: describeError(error),
          });
        }
      }
      const last = jobs.at(-1);
      if (last === undefined || jobs.length < batch) return;
      after = { time: toDatabaseTime(last.dueAt), id: last.id };
    }
  }

  async #take(name: ProofName, job: DueProof): Promise<void> {
    const { database } = this.#options;
    const state = await this.#stateOf(job.clientId);
    const outcome = await database.transaction(async (trx): Promise<Taken> => {
      const next = job.everyDays === null ? null : this.#now + DAY_MS;
      if (!(await moveProofOn(trx, name, job, next)) || next === null) return 'nothing';
      if (state !== 'active' || job.agentUuid !== null) return 'put off';
      if ((await newestKeptPoint(trx, job.id)) === null) return 'put off';
      return name === 'drill' ? await this.#queueDrill(trx, job) : await this.#queueValidation(trx, job);
    });
    if (outcome === 'queued' || outcome === 'queued overdue')
      this.report[name === 'drill' ? 'drills' : 'validations'] += 1;
    if (outcome === 'put off') this.report.putOff += 1;
    if (outcome === 'overdue' || outcome === 'queued overdue') this.report.overdue += 1;
  }

  async #queueDrill(trx: Transaction, job: DueProof): Promise<Taken> {
    const { database } = this.#options;
    const last = await lastProof(trx, 'drill', job.id);
    const since =
      last === null || last.good
        ? null
        : await markDrillOverdue(trx, database, job, {
            since: Math.min(last.createdAt, this.#now),
            told: last.failed,
            now: this.#now,
          });
    // One that still waits for a worker is as good as another one.
    if (last?.active === true) return 'overdue';
    const queued = await queueRun(trx, database, job, {
      kind: 'drill',
      trigger: 'schedule',
      slotAt: job.dueAt,
      ...(since === null ? {} : { events: [event('DRILL_OVERDUE', { since })] }),
      now: this.#now,
    });
    if (queued.outcome !== 'queued') return 'nothing';
    return since === null ? 'queued' : 'queued overdue';
  }

  async #queueValidation(trx: Transaction, job: DueProof): Promise<Taken> {
    const queued = await queueRun(trx, this.#options.database, job, {
      kind: 'validation',
      trigger: 'schedule',
      slotAt: job.dueAt,
      options: { sample: SAMPLE_FILES },
      now: this.#now,
    });
    if (queued.outcome === 'active') {
      await putProofOff(trx, 'validation', job.id, this.#now + BUSY_MS);
      return 'put off';
    }
    return queued.outcome === 'queued' ? 'queued' : 'nothing';
  }

  /** Asked once a pass and client, before any transaction. */
  #stateOf(clientId: number): Promise<ServiceState> {
    let asked = this.#clients.get(clientId);
    if (asked === undefined) {
      asked = this.#options.records.serviceState(clientId);
      this.#clients.set(clientId, asked);
    }
    return asked;
  }
}

type Taken = 'queued' | 'queued overdue' | 'overdue' | 'put off' | 'nothing';
