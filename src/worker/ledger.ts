import type {
  BackupEvent,
  CommitRequest,
  DatabaseView,
  HeldPoints,
  NewPoint,
  PointView,
  RunLedger,
  RunProgress,
} from '../backup/ledger.ts';
import { commitPoint, freezeRetention } from '../database/commit.ts';
import { isUnreachable, type Database, type Transaction } from '../database/connect.ts';
import { appendEvents } from '../database/events.ts';
import { damagedSince, queueValidationAfter } from '../database/proofs.ts';
import { recordRunFiles } from '../database/run_files.ts';
import {
  holdNewestPoint,
  insertPoint,
  jobRuns,
  livePoints,
  releaseHolds,
  type Hold,
  type JobRunRow,
  type NewPointRow,
  type PointRow,
} from '../database/restore-points.ts';
import { ownedRun } from '../database/retention.ts';
import type { WorkerJob } from '../database/worker-jobs.ts';
import { toDatabaseTime } from '../database/times.ts';
import { BackupError } from '../errors/backup-error.ts';
import { event, type EventParams, type MessageId, type RunEvent } from '../events/catalogue.ts';
import type { Logger } from '../log.ts';
import type { ActiveRun } from './active-run.ts';
import type { RunReporter } from './run-reporter.ts';

export interface LedgerOptions {
  readonly database: Database;
  readonly active: ActiveRun;
  readonly job: WorkerJob;
  readonly reporter: RunReporter;
  readonly log: Logger;
  /** Events and notices that end the run, inside of the commit's transaction. */
  readonly closing: (request: CommitRequest) => readonly RunEvent[];
  readonly notify: (trx: Parameters<typeof appendEvents>[0], status: 'success' | 'warning') => Promise<void>;
}

/** The ledger of one claim on our database: what a backup run reads and writes, conditional on its lease. */
export class SqlLedger implements RunLedger {
  readonly #options: LedgerOptions;

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  get signal(): AbortSignal {
    return this.#options.active.signal;
  }

  async view(runs: readonly string[]): Promise<DatabaseView> {
    const { database, job } = this.#options;
    return await reachable(async () => await viewOfJob(database, job.id, runs));
  }

  async takeHolds(): Promise<HeldPoints> {
    const { database, active, job } = this.#options;
    return await reachable(async () => {
      await this.#giveBack();
      const request = { jobId: job.id, runUuid: active.run.uuid, purpose: 'base' as const, ttlMs: active.leaseMs * 4 };
      const base = await holdNewestPoint(database, request);
      if (base) active.watchHolds([base.token]);
      const reference =
        base === null || base.point.complete
          ? base
          : await holdNewestPoint(database, { ...request, completeOnly: true });
      if (reference && reference !== base) active.watchHolds([reference.token]);
      return { base: toView(base), reference: toView(reference) };
    });
  }

  async damaged(base: PointView): Promise<ReadonlySet<string>> {
    const { database, job } = this.#options;
    return await reachable(async () => await damagedSince(database, { jobId: job.id, pointUuid: base.point }));
  }

  async releaseHolds(): Promise<void> {
    await reachable(async () => await this.#giveBack());
  }

  async #giveBack(): Promise<void> {
    const tokens = this.#options.active.forgetHolds();
    if (tokens.length > 0) await this.#options.database.transaction(async (trx) => await releaseHolds(trx, tokens));
  }

  async adopt(point: NewPoint): Promise<'adopted' | 'known' | 'lost'> {
    return await reachable(async () => await adoptPoint(this.#options, point));
  }

  async commit(request: CommitRequest): Promise<'committed' | 'lost'> {
    const { database, active, job, reporter } = this.#options;
    const holds = active.forgetHolds();
    try {
      const outcome = await reachable(async () => {
        await reporter.flush();
        return await commitPoint(database, job, {
          lease: active.lease,
          status: request.status,
          point: {
            ...pointRow(job, request.point, active.run.id, storedBytes(request)),
            status: request.status,
          },
          freezeReason: request.freeze?.reason ?? null,
          stats: { ...request.statistics },
          moved: {
            files: request.statistics.filesCopied,
            bytes: request.statistics.bytesCopied,
            bytesListed: request.statistics.bytesListed,
          },
          holds,
          also: async (trx) => {
            await appendEvents(trx, database, active.run.id, [
              ...request.events.map(toRunEvent),
              ...this.#options.closing(request),
            ]);
            await recordReport(database, trx, active.run.id, request.report);
            await this.#options.notify(trx, request.status);
            await queueValidationAfter(trx, database, active.run);
          },
        });
      });
      return outcome;
    } catch (error) {
      active.watchHolds(holds);
      throw error;
    }
  }

  progress(progress: RunProgress): void {
    this.#options.reporter.progress(progress);
  }

  event(given: BackupEvent): void {
    this.#options.reporter.event(toRunEvent(given));
  }

  heartbeatConfirmed(): boolean {
    return this.#options.active.heartbeatConfirmed();
  }
}

/** What the database knows of a job: its points that are not pruned, and those of these runs that are its own. */
export async function viewOfJob(database: Database, jobId: number, runs: readonly string[]): Promise<DatabaseView> {
  // Points first: a point that is committed in between shows up with its run at least.
  const points = await livePoints(database, jobId);
  const rows = await jobRuns(database, jobId, [...new Set([...runs, ...points.map((point) => point.runUuid)])]);
  return { points: points.map(toPointView), runs: toRunViews(rows) };
}

/** Inserts the point of a run whose manifest lies in the bucket without one, and tells it in that run's events. */
export async function adoptPoint(
  { database, active, job }: Pick<LedgerOptions, 'database' | 'active' | 'job'>,
  point: NewPoint,
): Promise<'adopted' | 'known' | 'lost'> {
  const [run] = await jobRuns(database, job.id, [point.run]);
  if (run === undefined) return 'lost';
  if (run.hadPoint) return 'known';
  return await database.transaction(async (trx) => {
    // Locked until the point is there: whoever takes the run over waits, or was faster. A sleeper must not add a point to what was swept since.
    const owned: unknown = await ownedRun(trx, active.lease).forShare().first();
    if (owned === undefined) return 'lost';
    const inserted = await insertPoint(database, trx, {
      // What its run added cannot be told from the manifest; all of it is the safe guess.
      ...pointRow(job, point, run.id, point.bytes),
      status: point.complete ? 'success' : 'warning',
    });
    if (!inserted) return 'known';
    if (point.frozen) await freezeRetention(database, trx, job.id, 'rolled_forward', point.run);
    await appendEvents(trx, database, run.id, [event('POINT_ADOPTED', { run: point.run, claim: point.claim })]);
    return 'adopted';
  });
}

function pointRow(job: WorkerJob, point: NewPoint, runId: number, addedBytes: number): Omit<NewPointRow, 'status'> {
  return {
    clientId: job.clientId,
    jobId: job.id,
    runId,
    runUuid: point.run,
    generation: point.generation,
    claimName: point.claim,
    manifestKey: point.manifestKey,
    manifestSha256: point.manifestSha256,
    complete: point.complete,
    frozen: point.frozen,
    files: point.files,
    bytes: point.bytes,
    stored: point.stored,
    carried: point.carried,
    failed: point.failed,
    addedBytes,
    destination: { bucketId: job.bucketId, bucket: job.bucketName, prefix: job.prefix },
    createdAt: toDatabaseTime(Date.parse(point.createdAt)),
  };
}

/** The files that a backup could not take as the source has them. */
export async function recordReport(
  database: Database,
  trx: Transaction,
  runId: number,
  report: CommitRequest['report'],
): Promise<void> {
  if (report === undefined) return;
  const files = report.files.map(({ path, code, outcome }) => ({ kind: outcome, code, path }));
  await recordRunFiles(database, trx, runId, files, report.totals);
}

export function toRunEvent(given: { readonly code: string; readonly params: object }): RunEvent {
  // The protocol's events are catalogue events of the same name; their params are checked by the catalogue's own tests.
  return (event as (id: MessageId, params: EventParams<MessageId>) => RunEvent)(
    given.code as MessageId,
    given.params as EventParams<MessageId>,
  );
}

function toView(hold: Hold | null): PointView | null {
  return hold === null ? null : toPointView(hold.point);
}

export function toRunViews(rows: readonly JobRunRow[]): DatabaseView['runs'] {
  return new Map(
    rows.map((row) => [row.uuid, { run: row.uuid, claim: row.claim, terminal: row.terminal, hadPoint: row.hadPoint }]),
  );
}

export function toPointView(point: PointRow): PointView {
  return {
    point: point.uuid,
    run: point.runUuid,
    claim: point.claimName,
    generation: point.generation,
    state: point.state === 'marked' || point.state === 'deleting' ? point.state : 'kept',
    complete: point.complete,
    manifestKey: point.manifestKey,
    manifestSha256: point.manifestSha256,
  };
}

/** An outage becomes ERR_DATABASE_UNREACHABLE, which the protocol waits out. */
export async function reachable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isUnreachable(error)) throw new BackupError('ERR_DATABASE_UNREACHABLE', undefined, { cause: error });
    throw error;
  }
}

function storedBytes({ statistics: { bytesStored, bytesCopied } }: CommitRequest): number {
  return bytesStored ?? bytesCopied;
}
