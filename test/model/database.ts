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
  state: 'kept';
  holds: number;
}

interface Tables {
  generation: number;
  frozen: boolean;
  token: number;
  runs: ModelRun[];
  points: ModelPoint[];
}

/** What the real database keeps of one job, in memory; may be lost, or replaced by an older copy of itself. */
export class ModelDatabase {
  readonly random: Random;
  tables: Tables = { generation: 0, frozen: false, token: 0, runs: [], points: [] };

  constructor(random: Random) {
    this.random = random;
  }

  snapshot(): Tables {
    return structuredClone(this.tables);
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
    this.tables.points.push({ ...point, uuid: this.random.uuid(), state: 'kept', holds: 0 });
    return true;
  }
}

/** How the database misbehaves towards one claim: called before each of its calls. */
export type DatabaseFaults = () => 'unreachable' | 'answer_lost' | undefined;

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
    return await this.#call(() => {
      const { points } = this.#database.tables;
      const rows = runs.flatMap((uuid) => this.#database.run(uuid) ?? []);
      return {
        runs: new Map(
          rows.map((row) => [
            row.uuid,
            {
              run: row.uuid,
              claim: row.claim,
              terminal: this.#database.isTerminal(row),
              hadPoint: points.some(({ run }) => run === row.uuid),
            },
          ]),
        ),
        points: points.map(viewOf),
      };
    });
  }

  async takeHolds(): Promise<HeldPoints> {
    return await this.#call(() => {
      const newest = [...this.#database.tables.points].sort((a, b) => b.generation - a.generation);
      const complete = newest.find((point) => point.complete);
      return { base: newest[0] ? viewOf(newest[0]) : null, reference: complete ? viewOf(complete) : null };
    });
  }

  async releaseHolds(): Promise<void> {}

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
  return { ...point, point: point.uuid };
}
