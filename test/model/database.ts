import { BackupError } from '../../src/errors/backup-error.ts';
import { claimName } from '../../src/layout/keys.ts';
import type {
  CommitRequest,
  DatabaseView,
  HeldPoints,
  NewPoint,
  PointView,
  RunLedger,
} from '../../src/backup/ledger.ts';
import type { DataState } from '../../src/retention/of-job.ts';
import type { RetentionPolicy } from '../../src/retention/policy.ts';
import type { Random } from './random.ts';

export interface ModelRun {
  readonly uuid: string;
  claim: number;
  claimName: string;
  status: 'queued' | 'running' | 'success' | 'warning' | 'failed';
  token: number;
  attempt: number;
}

export interface ModelPoint extends NewPoint {
  readonly uuid: string;
  state: 'kept' | 'marked' | 'deleting' | 'pruned';
  /** Who uses it. */
  holds: string[];
  pinned: boolean;
}

/** A maintenance run: it owns the job while its token is the last one. */
export interface ModelPrune {
  readonly token: number;
  over: boolean;
}

interface Tables {
  generation: number;
  frozen: boolean;
  token: number;
  policy: RetentionPolicy;
  dataState: DataState;
  runs: ModelRun[];
  points: ModelPoint[];
}

/** What the real database keeps of one job, in memory; may be lost, or replaced by an older copy of itself. */
export class ModelDatabase {
  readonly random: Random;
  /** Paths whose stored objects were found damaged. */
  readonly damaged = new Set<string>();
  tables: Tables = {
    generation: 0,
    frozen: false,
    token: 0,
    policy: { mode: 'none' },
    dataState: 'kept',
    runs: [],
    points: [],
  };
  /** The prune that owns the job, if one does. */
  prune: ModelPrune | null = null;

  constructor(random: Random) {
    this.random = random;
  }

  snapshot(): Tables {
    return structuredClone(this.tables);
  }

  /** Points that are not pruned. */
  get live(): ModelPoint[] {
    return this.tables.points.filter(({ state }) => state !== 'pruned');
  }

  /** Points that must be whole: nothing of them may ever be deleted before they are confirmed. */
  get safe(): ModelPoint[] {
    return this.tables.points.filter(({ state }) => state === 'kept' || state === 'marked');
  }

  /** A maintenance run takes the job, from whoever had it. */
  beginPrune(): ModelPrune {
    this.tables.token += 1;
    this.prune = { token: this.tables.token, over: false };
    return this.prune;
  }

  /** False: it is not kept any more. */
  hold(uuid: string, holder: string): boolean {
    const point = this.tables.points.find((candidate) => candidate.uuid === uuid && candidate.state === 'kept');
    point?.holds.push(holder);
    return point !== undefined;
  }

  /** Given back, or run out because nobody renewed it. */
  release(holder: string): void {
    for (const point of this.tables.points) point.holds = point.holds.filter((one) => one !== holder);
  }

  run(uuid: string): ModelRun | undefined {
    return this.tables.runs.find((run) => run.uuid === uuid);
  }

  queue(): ModelRun {
    const run: ModelRun = { uuid: this.random.uuid(), claim: 0, claimName: '', status: 'queued', token: 0, attempt: 0 };
    this.tables.runs.push(run);
    return run;
  }

  /** Takes the run's lease, from whoever had it. */
  claim(run: ModelRun): { claim: string; generation: number; token: number } {
    run.claim += 1;
    run.claimName = claimName(run.claim, this.random.bytes(4));
    run.status = 'running';
    this.tables.generation += 1;
    this.tables.token += 1;
    run.token = this.tables.token;
    return { claim: run.claimName, generation: this.tables.generation, token: run.token };
  }

  isTerminal(run: ModelRun): boolean {
    return run.status !== 'queued' && run.status !== 'running';
  }

  addPoint(point: NewPoint): boolean {
    if (this.tables.points.some(({ run }) => run === point.run)) return false;
    this.tables.points.push({ ...point, uuid: this.random.uuid(), state: 'kept', holds: [], pinned: false });
    return true;
  }
}

/** How the database misbehaves towards one claim: called before each of its calls. */
export type DatabaseFaults = () => 'unreachable' | 'answer_lost' | undefined;

/** The database is away for a few calls; sometimes it did what it was asked, and only the answer was lost. */
export function databaseFaults(isAway: boolean, random: Random): DatabaseFaults {
  if (!isAway) return () => undefined;
  return () => (random.chance(0.5) ? random.pick(['unreachable', 'answer_lost'] as const) : undefined);
}

/** The ledger of one claim, as src/database keeps it: everything is conditional on status and lease token. */
export class ModelLedger implements RunLedger {
  readonly #database: ModelDatabase;
  readonly #run: ModelRun;
  readonly #token: number;
  readonly #faults: DatabaseFaults;
  readonly #abort = new AbortController();

  constructor(database: ModelDatabase, run: ModelRun, token: number, faults: DatabaseFaults = () => undefined) {
    this.#database = database;
    this.#run = run;
    this.#token = token;
    this.#faults = faults;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  cancel(): void {
    this.#abort.abort(new BackupError('ERR_CANCELLED'));
  }

  async view(runs: readonly string[]): Promise<DatabaseView> {
    return await this.#call(() => viewOfDatabase(this.#database, runs));
  }

  async takeHolds(): Promise<HeldPoints> {
    return await this.#call(() => {
      this.#database.release(this.#run.uuid);
      const kept = this.#database.tables.points.filter(({ state }) => state === 'kept');
      const newest = kept.sort((a, b) => b.generation - a.generation);
      const complete = newest.find((point) => point.complete);
      for (const point of [newest[0], complete]) if (point) this.#database.hold(point.uuid, this.#run.uuid);
      return { base: newest[0] ? viewOf(newest[0]) : null, reference: complete ? viewOf(complete) : null };
    });
  }

  async damaged(): Promise<ReadonlySet<string>> {
    return await this.#call(() => new Set(this.#database.damaged));
  }

  async releaseHolds(): Promise<void> {
    if (this.#run.token === this.#token) this.#database.release(this.#run.uuid);
  }

  async adopt(point: NewPoint): Promise<'adopted' | 'known' | 'lost'> {
    return await this.#call(() => {
      if (!this.#isOurs()) return 'lost';
      return this.#database.addPoint(point) ? 'adopted' : 'known';
    });
  }

  async commit(request: CommitRequest): Promise<'committed' | 'lost'> {
    return await this.#call(() => {
      const { point } = request;
      const known = this.#database.tables.points.find(({ run }) => run === point.run);
      if (known?.manifestSha256 === point.manifestSha256) return 'committed';
      if (!this.#isOurs()) return 'lost';
      this.#run.status = request.status;
      this.#database.addPoint(point);
      this.#database.tables.frozen ||= request.freeze !== null;
      this.#database.release(this.#run.uuid);
      return 'committed';
    });
  }

  progress(): void {}

  event(): void {}

  heartbeatConfirmed(): boolean {
    return this.#isOurs();
  }

  #isOurs(): boolean {
    return (
      this.#run.status === 'running' &&
      this.#run.token === this.#token &&
      this.#database.run(this.#run.uuid) === this.#run
    );
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

export function viewOf(point: ModelPoint): PointView {
  const { uuid, run, claim, generation, state, complete, manifestKey, manifestSha256 } = point;
  if (state === 'pruned') throw new RangeError('a pruned point is not shown');
  return { point: uuid, run, claim, generation, state, complete, manifestKey, manifestSha256 };
}

export function viewOfDatabase(database: ModelDatabase, runs: readonly string[]): DatabaseView {
  const rows = runs.flatMap((uuid) => database.run(uuid) ?? []);
  return {
    runs: new Map(
      rows.map((row) => [
        row.uuid,
        {
          run: row.uuid,
          claim: row.claim,
          terminal: database.isTerminal(row),
          hadPoint: database.tables.points.some(({ run }) => run === row.uuid),
        },
      ]),
    ),
    points: database.live.map(viewOf),
  };
}
