import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PointMembers } from '../../src/archive/point-members.ts';
import type { ArchiveSettings } from '../../src/archive/settings.ts';
import type { BackupContext } from '../../src/backup/context.ts';
import { JobBucket } from '../../src/backup/job-bucket.ts';
import { reindex } from '../../src/backup/reindex.ts';
import { runBackup } from '../../src/backup/run.ts';
import type { JobEncryption } from '../../src/crypt/job-encryption.ts';
import { isBackupError } from '../../src/errors/backup-error.ts';
import { isTransient } from '../../src/errors/catalogue.ts';
import { DEFAULT_BRAKES } from '../../src/layout/brakes.ts';
import { localNameOfPath } from '../../src/layout/encoding.ts';
import { claimFolder, filesFolder, tombstoneKey } from '../../src/layout/keys.ts';
import { macKeysOf } from '../../src/layout/mac.ts';
import { LocalTarget } from '../../src/restore/local-target.ts';
import { requireExact } from '../../src/restore/report.ts';
import { restorePoint } from '../../src/restore/restore-point.ts';
import { ConnectionKilled, type Fault, type FaultPlan } from '../../src/storage/memory.ts';
import { memberBulk, storeBulk } from '../restore/memory-bulk.ts';
import { databaseFaults, ModelDatabase, ModelLedger, viewOf, type ModelPoint, type ModelRun } from './database.ts';
import type { ModelBucket } from './faults.ts';
import { expectedKeys, FOREIGN_BELOW, ForeignObjects } from './foreign.ts';
import { Maintenance, type PruneTrouble } from './maintenance.ts';
import { ENCRYPTION } from './encryption.ts';
import { ModelViolation, Oracle, type ClaimWindow } from './oracle.ts';
import { Random } from './random.ts';
import { applyPlan } from './reindex-plan.ts';
import { Sleeper, type Zombie } from './sleeper.ts';
import { ModelEngine, ModelSource } from './source.ts';

const KEYS = macKeysOf([{ keyId: '0123abcd', secret: 'a secret of the model' }]);
const OWNER = { installation: 'model', database: 'model-database', acceptedDatabases: [] };
const ATTEMPTS = 4;
const HOUR_MS = 3_600_000;

type Trouble = 'none' | 'killed' | 'error' | 'zombie' | 'cancel' | 'database' | 'source_moves' | 'source_fails';

export interface HistoryReport {
  readonly seed: number;
  /** Kept to the end. */
  readonly points: number;
  readonly claims: number;
  /** Points that were deleted, for good. */
  readonly pruned: number;
  readonly troubles: Readonly<Record<string, number>>;
}

/**
 * One random life of a job: changes, runs, prunes, restores, killed and sleeping processes, lost answers, lost and restored databases.
 * After every step each point that is kept must hold, byte for byte, what it held before, and nothing of anybody else was touched; at the
 * end a calm prune leaves no garbage. Everything follows from the seed.
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
  readonly #mode: 'sync' | 'archive';
  readonly #encryption: JobEncryption | null;
  readonly #maintenance: Maintenance;
  readonly #foreign: ForeignObjects;
  #hours = 0;
  #pruned = 0;
  #points = 0;
  #stale = false;
  /** The database forgot some transactions, and nobody has noticed yet. */
  #forgetful = false;
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
    // From the seed alone, so that lives of either mode, encrypted or not, are many.
    this.#mode = options.seed % 2 === 0 ? 'sync' : 'archive';
    this.#encryption = options.seed % 4 < 2 ? null : ENCRYPTION;
    this.#source = new ModelSource(this.#random, this.#random.chance(0.6));
    this.#oracle = new Oracle(this.#source, options.prefix, this.#encryption?.cipher);
    this.#database = new ModelDatabase(this.#random);
    this.#job = this.#random.uuid();
    this.#memoryItems = this.#random.pick([3, 10, 1_000]);
    this.#foreign = new ForeignObjects(options.bucket.connect());
    this.#maintenance = new Maintenance({
      random: this.#random,
      bucket: options.bucket,
      zombies: this.#zombies,
      database: () => this.#database,
      now: () => this.#now(),
      context: {
        job: { uuid: this.#job, prefix: options.prefix },
        owner: OWNER,
        keys: KEYS,
        encryption: this.#encryption,
        workFolder: folder,
        memoryItems: this.#memoryItems,
        databaseRetryMs: 1,
        heartbeatWaitMs: 0,
        deleteBatchKeys: this.#random.pick([1, 2, 5, 1_000]),
      },
    });
    this.#source.change(12);
  }

  report(): HistoryReport {
    return {
      seed: this.#seed,
      points: this.#points,
      claims: this.#claims,
      pruned: this.#pruned,
      troubles: this.#troubles,
    };
  }

  #now(): number {
    return 1_700_000_000_000 + this.#hours * HOUR_MS + this.#source.now;
  }

  async step(step: number): Promise<void> {
    if (step === 0) for (const beside of ['.txt', '-2/y']) await this.#foreign.put(this.#prefix.slice(0, -1) + beside);
    this.#hours += this.#random.pick([1, 3, 20, 30]);
    this.#source.change(this.#random.below(8));
    this.#turnKnobs();
    const reader = this.#random.chance(0.3) ? this.#startRestore() : null;
    const roll = this.#random.next();
    // Before anything was written there is nothing that a database could be made from.
    if (step > 2 && roll < 0.1 && (await this.#keys()).length > 0) await this.#loseDatabase();
    else if (step > 0 && roll < 0.5) await this.#prune(this.#maintenance.pickTrouble());
    else await this.#backUp();
    await reader;
    if (this.#random.chance(0.3)) this.#older = this.#database.snapshot();
    if (this.#random.chance(0.5)) await this.#wakeZombies();
    await this.#putForeign();
    await this.#check();
  }

  /** Everybody wakes up; one calm run and calm prunes; what is kept must still be there, and nothing else. */
  async finish(): Promise<void> {
    await this.#wakeZombies();
    await this.#check();
    const run = await this.#calmBackUp();
    await this.#check();
    await this.#restoreNewest(run);
    const { tables } = this.#database;
    for (const point of tables.points) point.holds = [];
    tables.frozen = false;
    await this.#calmPrune();
    this.#forgetful = false;
    await this.#check();
    await this.#requireClean();
    this.#points = this.#database.live.length;
    if (this.#random.chance(0.3)) await this.#deleteData();
    await this.#foreign.check();
  }

  /** What customers and operators may do at any time. */
  #turnKnobs(): void {
    const { tables } = this.#database;
    if (this.#random.chance(0.35)) tables.policy = this.#maintenance.randomPolicy();
    if (this.#random.chance(0.4)) tables.frozen = false;
    if (this.#random.chance(0.2)) tables.dataState = tables.dataState === 'kept' ? 'grace' : 'kept';
    for (const point of tables.points) if (this.#random.chance(0.06)) point.pinned = !point.pinned;
    // Holds that a sleeper took late run out by themselves.
    const expired = tables.runs.filter((run) => this.#database.isTerminal(run) && this.#random.chance(0.5));
    for (const { uuid } of expired) this.#database.release(uuid);
  }

  /** Customers write to their bucket: below the prefix, and into our folders. */
  async #putForeign(): Promise<void> {
    const [point] = this.#database.safe;
    if (point === undefined || this.#foreign.keys.size > 2) return;
    for (const name of FOREIGN_BELOW) await this.#foreign.put(this.#prefix + name);
    await this.#foreign.put(`${this.#prefix}${claimFolder(point.run, point.claim)}note.txt`);
  }

  /** Reads a point to its end while other things happen; it holds the point, so nothing of it may go. */
  async #startRestore(): Promise<void> {
    const kept = (await this.#safe()).filter(({ state }) => state === 'kept');
    if (kept.length === 0) return;
    const point = this.#random.pick(kept);
    const database = this.#database;
    const holder = this.#random.uuid();
    if (!database.hold(point.uuid, holder)) return;
    try {
      await this.#oracle.check([point], this.#bucket.connect());
      this.#count('restored');
    } catch (error) {
      // A job that is reindexed loses its holds; the restore fails aloud.
      if (database.tables.points.some(({ holds }) => holds.includes(holder))) throw error;
      this.#count('hold_lost');
    } finally {
      database.release(holder);
    }
  }

  async #prune(trouble: PruneTrouble): Promise<void> {
    this.#count(`prune_${trouble}`);
    const before = trouble === 'killed' && this.#random.chance(0.3) ? this.#database.snapshot() : null;
    const { report, stale } = await this.#maintenance.prune(trouble);
    this.#pruned += report?.pruned ?? 0;
    if (before !== null) this.#failOver(before);
    if (stale) await this.#recoverFromStale();
  }

  /** The replica that takes over has not heard of what the killed prune did last. */
  #failOver(tables: ReturnType<ModelDatabase['snapshot']>): void {
    this.#count('fail_over');
    this.#database.tables = tables;
    this.#database.prune = null;
    this.#forgetful = true;
  }

  /** Points that must be whole. A forgetful database takes points for kept that were given up: the bucket tells. */
  async #safe(): Promise<ModelPoint[]> {
    const { safe } = this.#database;
    if (!this.#forgetful) return safe;
    const store = this.#bucket.connect();
    const gone = new Set(await this.#tombstoned(safe));
    for (const point of safe) if ((await store.get(this.#prefix + point.manifestKey)) === null) gone.add(point);
    return safe.filter((point) => !gone.has(point));
  }

  /** Twice: the first may find what a sleeper put while it was under way. */
  async #calmPrune(): Promise<void> {
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const { report, stale } = await this.#maintenance.prune('none');
      this.#pruned += report?.pruned ?? 0;
      if (stale) await this.#recoverFromStale();
      else if (report === null) throw new ModelViolation('a calm prune did not end');
      else if (attempt > 0) return;
    }
    throw new ModelViolation('the job stays stale');
  }

  async #calmBackUp(): Promise<ModelRun> {
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const run = this.#database.queue();
      await this.#attempt(run, 'none');
      if (this.#stale) await this.#recoverFromStale();
      else if (run.status === 'success') return run;
      else throw new ModelViolation(`the last run ended as ${run.status}`);
    }
    throw new ModelViolation('the job stays stale');
  }

  /**
   * A stale index is only right when a pruner that had lost the job put a tombstone on a point that is kept. Somebody reindexes the job, while
   * others may still be asleep.
   */
  async #recoverFromStale(): Promise<void> {
    this.#stale = false;
    const tombstoned = await this.#tombstoned(this.#database.tables.points.filter(({ state }) => state === 'kept'));
    if (tombstoned.length === 0 && !this.#forgetful)
      throw new ModelViolation('the index was called stale for no reason');
    this.#count(this.#forgetful ? 'noticed' : 'late_tombstone');
    this.#forgetful = false;
    await this.#reindex();
  }

  async #tombstoned(points: readonly ModelPoint[]): Promise<ModelPoint[]> {
    const store = this.#bucket.connect();
    const found: ModelPoint[] = [];
    for (const point of points) {
      if ((await store.get(this.#prefix + tombstoneKey(point.run, point.claim))) !== null) found.push(point);
    }
    return found;
  }

  async #requireClean(): Promise<void> {
    const store = this.#bucket.connect();
    const expected = await expectedKeys(store, this.#prefix, this.#database.live, this.#encryption?.cipher);
    const foreign = this.#foreign.keys;
    const garbage = (await this.#keys()).filter((key) => !expected.has(key) && !foreign.has(key));
    if (garbage.length > 0) throw new ModelViolation(`a calm prune left ${garbage.slice(0, 5).join(', ')}`);
    for await (const upload of store.listUploads(this.#prefix)) {
      throw new ModelViolation(`a calm prune left an upload to ${upload.key}`);
    }
  }

  /** The job's data is deleted, first with all kinds of trouble; afterwards only what is not ours lies there. */
  async #deleteData(): Promise<void> {
    this.#database.tables.dataState = 'deleting';
    await this.#prune(this.#maintenance.pickTrouble());
    await this.#wakeZombies();
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const { report, stale } = await this.#maintenance.prune('none');
      if (stale) await this.#recoverFromStale();
      if (report?.emptied !== true) continue;
      const left = (await this.#keys()).filter((key) => !this.#foreign.keys.has(key));
      if (left.length > 0) throw new ModelViolation(`of the deleted data ${left.slice(0, 5).join(', ')} is left`);
      this.#count('data_deleted');
      return;
    }
    const left = (await this.#keys()).filter((key) => !this.#foreign.keys.has(key));
    throw new ModelViolation(`the data is not deleted: ${left.slice(0, 5).join(', ')}`);
  }

  #count(what: string): void {
    this.#troubles[what] = (this.#troubles[what] ?? 0) + 1;
  }

  async #restoreNewest(run: ModelRun): Promise<void> {
    const store = this.#bucket.connect();
    const signal = new AbortController().signal;
    const bucket = new JobBucket(store, this.#prefix, signal, this.#encryption?.cipher);
    const target = join(this.#folder, 'restored');
    const source = { bucket, job: this.#job, keys: KEYS };
    const place = { run: run.uuid, claim: run.claimName };
    const members = this.#mode === 'archive' ? new PointMembers({ source, place, signal }) : null;
    const bulk =
      members === null ? storeBulk(store, target, this.#encryption?.cipher) : memberBulk(members, this.#prefix, target);
    const report = await restorePoint({
      source,
      place,
      target: new LocalTarget({ folder: target, bulk }),
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
    await this.#oracle.check(await this.#safe(), this.#bucket.connect());
    await this.#foreign.check();
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
      this.#count(trouble);
      await this.#attempt(run, trouble);
      if (this.#stale) return await this.#recoverFromStale();
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
    const ledger = new ModelLedger(this.#database, run, token, databaseFaults(trouble === 'database', this.#random));
    const seen = { requests: 0 };
    const faults = this.#faults(trouble, at, { sleeper, ledger, seen });
    if (trouble === 'source_moves') this.#moveSource(at);
    if (trouble === 'source_fails') this.#source.fail();
    window.unreadable = [...this.#source.unreadable];
    if (this.#random.chance(0.2)) this.#bucket.beginUpload?.(`${this.#prefix}${filesFolder(run.uuid, claim)}large`);
    const store = this.#bucket.connect(faults);
    const work = this.#execute({
      ...this.#context(run, claim, generation),
      ledger,
      store,
      engine: new ModelEngine(this.#source, store, this.#encryption?.cipher),
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
    // Nobody renews the holds of a claim that is gone.
    if (sleeper.isAsleep || this.#database.isTerminal(run)) this.#database.release(run.uuid);
  }

  async #execute(context: BackupContext): Promise<void> {
    await runBackup(context);
  }

  #context(run: ModelRun, claim: string, generation: number) {
    return {
      job: {
        uuid: this.#job,
        prefix: this.#prefix,
        mode: this.#mode,
        sourceType: 'model',
        frozen: this.#database.tables.frozen,
        brakes: DEFAULT_BRAKES,
      },
      run: { uuid: run.uuid, claim, generation, allowEmptySource: false },
      owner: OWNER,
      keys: KEYS,
      encryption: this.#encryption,
      workFolder: this.#folder,
      archive: this.#archive,
      clock: () => this.#now(),
      memoryItems: this.#memoryItems,
      databaseRetryMs: 1,
    };
  }

  /** Frames and objects of a few files each, so that every seam is met. Parts, too, where the bucket takes such small ones. */
  get #archive(): Partial<ArchiveSettings> {
    const sizes = { frameBytes: 3_000, objectBytes: 2_000 };
    return this.#bucket.beginUpload === null ? sizes : { ...sizes, partBytes: () => 500 };
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
    if (isBackupError(error, 'ERR_INDEX_STALE')) {
      run.status = 'failed';
      this.#stale = true;
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
    const safe = await this.#safe();
    const given = new Set((await this.#tombstoned(safe)).map(({ uuid }) => uuid));
    const before = safe.filter(({ uuid }) => !given.has(uuid)).map((point) => point.manifestKey);
    this.#forgetful = false;
    const kept = this.#older !== null && this.#random.chance(0.6) ? structuredClone(this.#older) : null;
    this.#database = new ModelDatabase(this.#random);
    if (kept !== null) this.#database.tables = kept;
    for (const point of this.#database.tables.points) point.holds = [];
    await this.#requireStaleOrExplained(before);
    await this.#reindex();
    const after = new Set(this.#database.safe.map((point) => point.manifestKey));
    const missing = before.filter((key) => !after.has(key));
    if (missing.length > 0) throw new ModelViolation(`reindexing lost ${missing.join(', ')}`);
    this.#older = null;
    this.#count('database_lost');
  }

  /** Without a reindex, a run on the wrong database stops by itself and writes nothing. */
  async #requireStaleOrExplained(before: readonly string[]): Promise<void> {
    const known = new Set(this.#database.live.map((point) => point.manifestKey));
    // What was adopted since the copy was made is adopted again.
    const { runs, points } = this.#database.tables;
    const adoptable = runs.filter(
      (run) => this.#database.isTerminal(run) && !points.some((point) => point.run === run.uuid),
    );
    const isExplained = (key: string): boolean => known.has(key) || adoptable.some(({ uuid }) => key.includes(uuid));
    if (before.every(isExplained)) return;
    const written = await this.#keys();
    const tables = this.#database.snapshot();
    const run = this.#database.queue();
    const { claim, generation, token } = this.#database.claim(run);
    const store = this.#bucket.connect();
    const ledger = new ModelLedger(this.#database, run, token);
    const engine = new ModelEngine(this.#source, store, this.#encryption?.cipher);
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
      encryption: this.#encryption,
      workFolder: this.#folder,
      memoryItems: this.#memoryItems,
      ledger: {
        signal: new AbortController().signal,
        view: async (runs) => ({
          ...(await new ModelLedger(database, database.queue(), 0).view(runs)),
          points: database.live.map(viewOf),
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
