import type { NewPoint } from '../../src/backup/ledger.ts';
import type { DatabaseView, PointView, PruneEvent, PruneLedger, PrunePlan } from '../../src/backup/prune-ledger.ts';
import { BackupError } from '../../src/errors/backup-error.ts';
import { planJob } from '../../src/retention/of-job.ts';
import {
  viewOf,
  viewOfDatabase,
  type DatabaseFaults,
  type ModelDatabase,
  type ModelPoint,
  type ModelPrune,
} from './database.ts';

/** The ledger of one prune, as src/database keeps it. `now` is the database's clock. */
export class ModelPruneLedger implements PruneLedger {
  readonly #database: ModelDatabase;
  readonly #prune: ModelPrune;
  readonly #now: () => number;
  readonly #faults: DatabaseFaults;
  readonly #abort = new AbortController();
  readonly #yield = new AbortController();
  readonly events: PruneEvent[] = [];

  constructor(database: ModelDatabase, prune: ModelPrune, now: () => number, faults: DatabaseFaults = () => undefined) {
    this.#database = database;
    this.#prune = prune;
    this.#now = now;
    this.#faults = faults;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get yieldSignal(): AbortSignal {
    return this.#yield.signal;
  }

  cancel(): void {
    this.#abort.abort(new BackupError('ERR_CANCELLED'));
  }

  makeWay(): void {
    this.#yield.abort();
  }

  async view(runs: readonly string[]): Promise<DatabaseView> {
    return await this.#call(() => viewOfDatabase(this.#database, runs));
  }

  async plan(): Promise<PrunePlan> {
    return await this.#call(() => this.#plan());
  }

  async mark(points: readonly PointView[]): Promise<PointView[]> {
    return await this.#owned(() => {
      const rows = this.#rows(points);
      for (const row of rows) if (row.state === 'kept' && this.#isFree(row)) row.state = 'marked';
      return rows.filter(({ state }) => state === 'marked').map(viewOf);
    });
  }

  async unmark(points: readonly PointView[]): Promise<void> {
    await this.#owned(() => {
      for (const row of this.#rows(points)) if (row.state === 'marked') row.state = 'kept';
    });
  }

  async confirm(points: readonly PointView[]): Promise<PointView[]> {
    return await this.#owned(() => {
      const goes = new Set(this.#plan().remove.map(({ point }) => point));
      const rows = this.#rows(points);
      for (const row of rows) {
        if (row.state === 'marked' && goes.has(row.uuid) && this.#isFree(row)) row.state = 'deleting';
      }
      return rows.filter(({ state }) => state === 'deleting').map(viewOf);
    });
  }

  async finish(point: PointView): Promise<void> {
    await this.#owned(() => {
      for (const row of this.#rows([point])) if (row.state === 'deleting') row.state = 'pruned';
    });
  }

  async adopt(point: NewPoint): Promise<'adopted' | 'known' | 'lost'> {
    return await this.#call(() => {
      if (!this.heartbeatConfirmed()) return 'lost';
      return this.#database.addPoint(point) ? 'adopted' : 'known';
    });
  }

  heartbeatConfirmed(): boolean {
    return this.#database.prune === this.#prune && !this.#prune.over;
  }

  progress(): void {}

  event(event: PruneEvent): void {
    this.events.push(event);
  }

  #plan(): PrunePlan {
    const { tables, live } = this.#database;
    const points = live.map((point) => ({
      id: point.uuid,
      createdAt: Date.parse(point.createdAt),
      generation: point.generation,
      status: point.complete ? ('success' as const) : ('warning' as const),
      pinned: point.pinned,
      state: point.state as 'kept' | 'marked' | 'deleting',
    }));
    const { policy, frozen, dataState } = tables;
    const plan = planJob({ policy, frozen, deleted: dataState !== 'kept', dataState }, points, {
      now: this.#now(),
      timezone: 'Europe/Berlin',
    });
    const views = (ids: readonly string[]): PointView[] => live.filter(({ uuid }) => ids.includes(uuid)).map(viewOf);
    return { remove: views(plan.remove), unmark: views(plan.unmark) };
  }

  #isFree(row: ModelPoint): boolean {
    return row.holds.length === 0 && (!row.pinned || this.#database.tables.dataState === 'deleting');
  }

  #rows(points: readonly PointView[]): ModelPoint[] {
    const wanted = new Set(points.map(({ point }) => point));
    return this.#database.tables.points.filter(({ uuid }) => wanted.has(uuid));
  }

  async #owned<T>(work: () => T): Promise<T> {
    return await this.#call(() => {
      if (!this.heartbeatConfirmed()) throw new BackupError('ERR_LEASE_LOST');
      return work();
    });
  }

  async #call<T>(work: () => T): Promise<T> {
    await new Promise((resolve) => setImmediate(resolve));
    const fault = this.#faults();
    if (fault === 'unreachable') throw new BackupError('ERR_DATABASE_UNREACHABLE');
    const result = work();
    if (fault === 'answer_lost') throw new BackupError('ERR_DATABASE_UNREACHABLE');
    return result;
  }
}
