import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackupContext } from '../../src/backup/context.ts';
import { JobBucket } from '../../src/backup/job-bucket.ts';
import { reindex } from '../../src/backup/reindex.ts';
import { runBackup } from '../../src/backup/run.ts';
import { isBackupError } from '../../src/errors/backup-error.ts';
import { isTransient } from '../../src/errors/catalogue.ts';
import { DEFAULT_BRAKES } from '../../src/layout/brakes.ts';
import { localNameOfPath } from '../../src/layout/encoding.ts';
import type { ReindexPlan } from '../../src/layout/reindex.ts';
import { macKeysOf } from '../../src/layout/mac.ts';
import { LocalTarget } from '../../src/restore/local-target.ts';
import { requireExact, restorePoint } from '../../src/restore/restore-point.ts';
import { ConnectionKilled, type Fault, type FaultPlan } from '../../src/storage/memory.ts';
import { storeBulk } from '../restore/memory-bulk.ts';
import { ModelDatabase, ModelLedger, viewOf, type DatabaseFaults, type ModelRun } from './database.ts';
import type { ModelBucket } from './faults.ts';
import { ModelViolation, Oracle, type ClaimWindow } from './oracle.ts';
import { Random } from './random.ts';
import { ModelEngine, ModelSource } from './source.ts';

const KEYS = macKeysOf([{ keyId: '0123abcd', secret: 'a secret of the model' }]);
const OWNER = { installation: 'model', database: 'model-database', acceptedDatabases: [] };
const ATTEMPTS = 4;

type Trouble = 'none' | 'killed' | 'error' | 'zombie' | 'cancel' | 'database' | 'source_moves' | 'source_fails';

/** A process that hangs in the middle of a claim, and will wake when everybody has forgotten it. */
interface Zombie {
  wake(): void;
  readonly gone: Promise<void>;
}

export interface HistoryReport {
  readonly seed: number;
  readonly points: number;
  readonly claims: number;
  readonly troubles: Readonly<Record<string, number>>;
}

/**
 * One random life of a job: changes, runs, killed and sleeping processes, lost answers, lost and restored databases. After every step
 * each point must hold, byte for byte, what it held before. Everything follows from the seed.
 * @throws ModelViolation
 */
export async function playHistory(options: {
  seed: number;
  bucket: ModelBucket;
  prefix: string;
  steps: number;
}): Promise<HistoryReport> {
  const folder = await mkdtemp(join(tmpdir(), 'e3-model-'));
  const history = new History(options, folder);
  try {
    for (let step = 0; step < options.steps; step += 1) await history.step(step);
    await history.finish();
    return history.report();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

class History {
  readonly #random: Random;
  readonly #bucket: ModelBucket;
  readonly #prefix: string;
  readonly #seed: number;
  readonly #folder: string;
  readonly #source: ModelSource;
  readonly #oracle: Oracle;
  readonly #job: string;
  readonly #memoryItems: number;
  #database: ModelDatabase;
  #older: ReturnType<ModelDatabase['snapshot']> | null = null;
  readonly #zombies: Zombie[] = [];
  readonly #troubles: Record<string, number> = {};
  #claims = 0;
  #requests = 40;

  constructor(options: { seed: number; bucket: ModelBucket; prefix: string }, folder: string) {
    this.#random = new Random(options.seed);
    this.#seed = options.seed;
    this.#bucket = options.bucket;
    this.#prefix = options.prefix;
    this.#folder = folder;
    this.#source = new ModelSource(this.#random, this.#random.chance(0.6));
    this.#oracle = new Oracle(this.#source, options.prefix);
    this.#database = new ModelDatabase(this.#random);
    this.#job = this.#random.uuid();
    this.#memoryItems = this.#random.pick([3, 10, 1_000]);
    this.#source.change(12);
  }

  report(): HistoryReport {
    const { points } = this.#database.tables;
    return { seed: this.#seed, points: points.length, claims: this.#claims, troubles: this.#troubles };
  }

  async step(step: number): Promise<void> {
    this.#source.change(this.#random.below(8));
    if (step > 2 && this.#random.chance(0.12)) await this.#loseDatabase();
    else await this.#backUp();
    if (this.#random.chance(0.3)) this.#older = this.#database.snapshot();
    if (this.#random.chance(0.5)) await this.#wakeZombies();
    await this.#check();
  }

  /** Everybody wakes up, one calm run, all must still be there, and the newest point is restored and compared with the source. */
  async finish(): Promise<void> {
    await this.#wakeZombies();
    await this.#check();
    const run = this.#database.queue();
    await this.#attempt(run, 'none');
    if (run.status !== 'success') throw new ModelViolation(`the last run ended as ${run.status}`);
    await this.#check();
    await this.#restoreNewest(run);
  }

  async #restoreNewest(run: ModelRun): Promise<void> {
    const store = this.#bucket.connect();
    const signal = new AbortController().signal;
    const bucket = new JobBucket(store, this.#prefix, signal);
    const target = join(this.#folder, 'restored');
    const report = await restorePoint({
      source: { bucket, job: this.#job, keys: KEYS },
      place: { run: run.uuid, claim: run.claimName },
      target: new LocalTarget({ folder: target, bucket, bulk: storeBulk(store, target) }),
      space: { folder: this.#folder, memoryItems: this.#memoryItems },
      signal,
    });
    requireExact(report);
    for (const path of this.#source.paths) {
      const restored = await readFile(Buffer.concat([Buffer.from(`${target}/`), localNameOfPath(path)]));
      if (!restored.equals(this.#source.read(path)?.body ?? Buffer.alloc(0)))
        throw new ModelViolation(`${path} was restored wrong`);
    }
    if (report.files !== this.#source.paths.length)
      throw new ModelViolation('the restore has other files than the source');
  }

  async #check(): Promise<void> {
    await this.#oracle.check(this.#database.tables.points, this.#bucket.connect());
  }

  async #wakeZombies(): Promise<void> {
    for (const zombie of this.#zombies.splice(0)) {
      zombie.wake();
      await zombie.gone;
    }
  }

  async #backUp(): Promise<void> {
    const run = this.#database.queue();
    while (!this.#database.isTerminal(run)) {
      const trouble = this.#random.chance(0.35)
        ? 'none'
        : this.#random.pick<Trouble>([
            'killed',
            'error',
            'zombie',
            'cancel',
            'database',
            'source_moves',
            'source_fails',
          ]);
      this.#troubles[trouble] = (this.#troubles[trouble] ?? 0) + 1;
      await this.#attempt(run, trouble);
      if (this.#database.isTerminal(run)) break;
      run.attempt += 1;
      if (run.attempt >= ATTEMPTS) run.status = 'failed';
      if (this.#random.chance(0.2)) this.#source.rewrite();
      // Sometimes sleepers wake while their successor is at work, or before; the others when it has committed.
      const roll = this.#random.next();
      if (roll < 0.2) for (const zombie of this.#zombies) zombie.wake();
      else if (roll < 0.4) await this.#wakeZombies();
    }
  }

  /** One claim of a run. Afterwards the run is over, or it was left to the next claim. */
  async #attempt(run: ModelRun, trouble: Trouble): Promise<void> {
    const { claim, generation, token } = this.#database.claim(run);
    this.#claims += 1;
    const window: ClaimWindow = { since: this.#source.now, calm: true, unreadable: [] };
    this.#oracle.windows.set(`${run.uuid}.${claim}`, window);
    const at = this.#random.below(this.#requests);
    const sleeper = new Sleeper();
    const ledger = new ModelLedger(this.#database, run, token, databaseFaults(trouble, this.#random));
    const seen = { requests: 0 };
    const faults = this.#faults(trouble, at, { sleeper, ledger, seen });
    if (trouble === 'source_moves') this.#moveSource(at);
    if (trouble === 'source_fails') this.#source.fail();
    window.unreadable = [...this.#source.unreadable];
    const store = this.#bucket.connect(faults);
    const work = this.#execute({
      ...this.#context(run, claim, generation),
      ledger,
      store,
      engine: new ModelEngine(this.#source, store),
    });
    const ended = work.then(
      () => undefined,
      (error: unknown) => this.#settle(run, token, error),
    );
    await Promise.race([ended, sleeper.asleep]);
    // Whoever sleeps finds another source when it wakes.
    window.calm = this.#source.now === window.since && trouble !== 'source_fails' && !sleeper.isAsleep;
    this.#source.onAccess = null;
    this.#source.heal();
    if (sleeper.isAsleep) this.#zombies.push({ wake: () => sleeper.wake(), gone: ended });
    else this.#requests = Math.max(10, seen.requests);
  }

  async #execute(context: BackupContext): Promise<void> {
    await runBackup(context);
  }

  #context(run: ModelRun, claim: string, generation: number) {
    return {
      job: {
        uuid: this.#job,
        prefix: this.#prefix,
        sourceType: 'model',
        frozen: this.#database.tables.frozen,
        brakes: DEFAULT_BRAKES,
      },
      run: { uuid: run.uuid, claim, generation, allowEmptySource: false },
      owner: OWNER,
      keys: KEYS,
      workFolder: this.#folder,
      clock: () => 1_700_000_000_000 + this.#source.now,
      memoryItems: this.#memoryItems,
      databaseRetryMs: 1,
    };
  }

  /** What the worker's loop does with an error: a passing one is tried again, any other ends the run, a killed worker says nothing. */
  #settle(run: ModelRun, token: number, error: unknown): void {
    if (error instanceof ConnectionKilled) return;
    if (run.token !== token || this.#database.isTerminal(run)) return;
    if (isBackupError(error) && isTransient(error.code)) return;
    if (isBackupError(error, 'ERR_CANCELLED', 'ERR_PERMISSION', 'ERR_TRANSFER', 'ERR_LEASE_LOST')) {
      run.status = 'failed';
      return;
    }
    throw error;
  }

  #faults(
    trouble: Trouble,
    at: number,
    hands: { sleeper: Sleeper; ledger: ModelLedger; seen: { requests: number } },
  ): FaultPlan {
    const kind: Fault | 'cancel' | 'sleep' | undefined = {
      killed: this.#random.pick(['die-before', 'die-after'] as const),
      error: this.#random.pick(['error-before', 'error-after'] as const),
      zombie: 'sleep' as const,
      cancel: 'cancel' as const,
      none: undefined,
      database: undefined,
      source_moves: undefined,
      source_fails: undefined,
    }[trouble];
    return () => {
      hands.seen.requests += 1;
      if (hands.seen.requests !== at + 1) return undefined;
      if (kind === 'sleep') return { wait: hands.sleeper.sleep() };
      if (kind !== 'cancel') return kind;
      hands.ledger.cancel();
      return undefined;
    };
  }

  #moveSource(at: number): void {
    let accesses = 0;
    this.#source.onAccess = () => {
      accesses += 1;
      if (accesses > at && this.#random.chance(0.4)) this.#source.change(1);
    };
  }

  /** The database is lost or replaced by an older copy of itself; all workers are stopped, then the job is reindexed. */
  async #loseDatabase(): Promise<void> {
    await this.#wakeZombies();
    const before = this.#database.tables.points.map((point) => point.manifestKey);
    const kept = this.#older !== null && this.#random.chance(0.6) ? structuredClone(this.#older) : null;
    this.#database = new ModelDatabase(this.#random);
    if (kept !== null) this.#database.tables = kept;
    await this.#requireStaleOrExplained(before);
    await this.#reindex();
    const after = new Set(this.#database.tables.points.map((point) => point.manifestKey));
    const missing = before.filter((key) => !after.has(key));
    if (missing.length > 0) throw new ModelViolation(`reindexing lost ${missing.join(', ')}`);
    this.#older = null;
    this.#troubles['database_lost'] = (this.#troubles['database_lost'] ?? 0) + 1;
  }

  /** Without a reindex, a run on the wrong database stops by itself and writes nothing. */
  async #requireStaleOrExplained(before: readonly string[]): Promise<void> {
    const known = new Set(this.#database.tables.points.map((point) => point.manifestKey));
    if (before.every((key) => known.has(key))) return;
    const written = await this.#keys();
    const tables = this.#database.snapshot();
    const run = this.#database.queue();
    const { claim, generation, token } = this.#database.claim(run);
    const store = this.#bucket.connect();
    const ledger = new ModelLedger(this.#database, run, token);
    const engine = new ModelEngine(this.#source, store);
    const verdict = await runBackup({ ...this.#context(run, claim, generation), ledger, store, engine }).then(
      () => null,
      (error: unknown) => error,
    );
    if (!isBackupError(verdict, 'ERR_INDEX_STALE'))
      throw new ModelViolation(`a stale index was not noticed: ${String(verdict)}`);
    if ((await this.#keys()).join() !== written.join())
      throw new ModelViolation('a run on a stale index wrote something');
    this.#database.tables = tables;
  }

  async #keys(): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of this.#bucket.connect().list(this.#prefix)) keys.push(key);
    return keys;
  }

  async #reindex(): Promise<void> {
    const database = this.#database;
    await reindex({
      job: { uuid: this.#job, prefix: this.#prefix },
      owner: OWNER,
      store: this.#bucket.connect(),
      keys: KEYS,
      workFolder: this.#folder,
      memoryItems: this.#memoryItems,
      ledger: {
        signal: new AbortController().signal,
        view: async (runs) => ({
          ...(await new ModelLedger(database, database.queue(), 0).view(runs)),
          points: database.tables.points.map(viewOf),
          job: { generation: database.tables.generation, frozen: database.tables.frozen },
        }),
        apply: async (plan) => {
          applyPlan(database, plan);
          return 'applied';
        },
      },
    });
  }
}

function applyPlan(database: ModelDatabase, plan: ReindexPlan): void {
  const { tables } = database;
  const listed = new Set(plan.runs.map(({ run }) => run));
  // A run that is in no bucket and not over: restored in the middle of its life, or the one that only asked.
  tables.runs = tables.runs.filter((run) => listed.has(run.uuid) || database.isTerminal(run));
  for (const { run, claim, status } of plan.runs) {
    const row = database.run(run);
    if (row === undefined) tables.runs.push({ uuid: run, claim, claimName: '', status, token: -1, attempt: 0 });
    else {
      row.claim = claim;
      row.token = -1;
      if (!database.isTerminal(row)) row.status = status;
    }
  }
  const lost = new Set([...plan.lost, ...plan.deleting]);
  tables.points = tables.points.filter((point) => !lost.has(point.uuid));
  for (const { manifest, key, sha256 } of plan.points) {
    tables.points = tables.points.filter((point) => point.run !== manifest.run);
    database.addPoint({
      ...manifest,
      manifestKey: key,
      manifestSha256: sha256,
      createdAt: manifest.created_at,
      sourceType: 'model',
    });
  }
  tables.generation = plan.generation;
  tables.frozen = plan.frozen;
}

/** Where a process sleeps in the middle of a request. */
class Sleeper {
  readonly asleep: Promise<void>;
  #fallAsleep: () => void = () => undefined;
  #wake: () => void = () => undefined;
  isAsleep = false;

  constructor() {
    this.asleep = new Promise((resolve) => {
      this.#fallAsleep = resolve;
    });
  }

  async sleep(): Promise<void> {
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.isAsleep = true;
    this.#fallAsleep();
    await woken;
  }

  wake(): void {
    this.#wake();
  }
}

/** The database is away for a few calls; sometimes it did what it was asked, and only the answer was lost. */
function databaseFaults(trouble: Trouble, random: Random): DatabaseFaults {
  if (trouble !== 'database') return () => undefined;
  return () => (random.chance(0.5) ? random.pick(['unreachable', 'answer_lost'] as const) : undefined);
}
