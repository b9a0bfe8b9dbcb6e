import type {
  DatabaseView,
  FreedSpace,
  NewPoint,
  PointView,
  PruneEvent,
  PruneLedger,
  PrunePlan,
  PruneProgress,
} from '../backup/prune-ledger.ts';
import type { Database } from '../database/connect.ts';
import { confirmPoints, finishPoint, markPoints, planNow, unmarkPoints } from '../database/retention.ts';
import type { WorkerJob } from '../database/worker-jobs.ts';
import type { ActiveRun } from './active-run.ts';
import { adoptPoint, reachable, toPointView, toRunEvent, viewOfJob } from './ledger.ts';
import type { RunReporter } from './run-reporter.ts';

export interface PruneLedgerOptions {
  readonly database: Database;
  readonly active: ActiveRun;
  readonly job: WorkerJob;
  readonly reporter: RunReporter;
  /** Where days and weeks begin when neither the job nor its client says so. */
  readonly hostTimezone: string | null;
}

/** The ledger of one claim of a maintenance run on our database. */
export class SqlPruneLedger implements PruneLedger {
  readonly #options: PruneLedgerOptions;

  constructor(options: PruneLedgerOptions) {
    this.#options = options;
  }

  get signal(): AbortSignal {
    return this.#options.active.signal;
  }

  get yieldSignal(): AbortSignal {
    return this.#options.active.yieldSignal;
  }

  async view(runs: readonly string[]): Promise<DatabaseView> {
    const { database, job } = this.#options;
    return await reachable(async () => await viewOfJob(database, job.id, runs));
  }

  async plan(): Promise<PrunePlan> {
    const { database, job, hostTimezone } = this.#options;
    return await reachable(async () => {
      const plan = await planNow(database, database.knex, job.id, hostTimezone);
      const byId = new Map(plan.points.map((point) => [point.uuid, toPointView(point)]));
      const views = (uuids: readonly string[]): PointView[] => uuids.flatMap((uuid) => byId.get(uuid) ?? []);
      return { remove: views(plan.remove), unmark: views(plan.unmark) };
    });
  }

  async mark(points: readonly PointView[]): Promise<readonly PointView[]> {
    const { database, active, job } = this.#options;
    const marked = await reachable(async () => await markPoints(database, active.lease, job.id, uuidsOf(points)));
    return inState(points, marked, 'marked');
  }

  async unmark(points: readonly PointView[]): Promise<void> {
    const { database, active, job } = this.#options;
    await reachable(async () => await unmarkPoints(database, active.lease, job.id, uuidsOf(points)));
  }

  async confirm(points: readonly PointView[]): Promise<readonly PointView[]> {
    const { database, active, job, hostTimezone } = this.#options;
    const confirmed = await reachable(
      async () => await confirmPoints(database, active.lease, job.id, uuidsOf(points), hostTimezone),
    );
    return inState(points, confirmed, 'deleting');
  }

  async finish(point: PointView, freed: FreedSpace): Promise<void> {
    const { database, active, job } = this.#options;
    await reachable(async () => await finishPoint(database, active.lease, job.id, point.point, freed.bytes));
  }

  async adopt(point: NewPoint): Promise<'adopted' | 'known' | 'lost'> {
    return await reachable(async () => await adoptPoint(this.#options, point));
  }

  heartbeatConfirmed(): boolean {
    return this.#options.active.heartbeatConfirmed();
  }

  progress(progress: PruneProgress): void {
    const { phase, objects, freed } = progress;
    this.#options.reporter.figures({
      phase,
      bytesTotal: 0,
      bytesTransferred: freed.bytes,
      bytesProcessed: freed.bytes,
      objectsTotal: Math.max(objects, freed.objects),
      objectsTransferred: freed.objects,
      speedBytesPerSec: 0,
      etaSeconds: null,
      currentItem: null,
      percent: percentOf(progress),
      more: { points: progress.points, points_done: progress.pointsDone },
    });
  }

  event(given: PruneEvent): void {
    this.#options.reporter.event(toRunEvent(given));
  }
}

/** Deleting is most of the time; how much there is to delete is known only when it begins. */
function percentOf({ phase, objects, freed }: PruneProgress): number {
  switch (phase) {
    case 'checking':
      return 0;
    case 'marking':
    case 'reading':
      return 2;
    case 'listing':
      return 5;
    case 'deleting':
      return 10 + (objects > 0 ? 80 * Math.min(1, freed.objects / objects) : 0);
    case 'sweeping':
      return 92;
  }
}

function uuidsOf(points: readonly PointView[]): string[] {
  return points.map((point) => point.point);
}

function inState(points: readonly PointView[], uuids: readonly string[], state: PointView['state']): PointView[] {
  const among = new Set(uuids);
  return points.filter((point) => among.has(point.point)).map((point) => ({ ...point, state }));
}
