import { prune, type PruneContext } from '../../src/backup/prune.ts';
import type { PruneReport } from '../../src/backup/prune-ledger.ts';
import { BackupError, isBackupError } from '../../src/errors/backup-error.ts';
import type { RetentionPolicy } from '../../src/retention/policy.ts';
import { ConnectionKilled, type Fault, type FaultPlan } from '../../src/storage/memory.ts';
import { databaseFaults, type ModelDatabase, type ModelPrune } from './database.ts';
import type { ModelBucket } from './faults.ts';
import { ModelViolation } from './oracle.ts';
import { ModelPruneLedger } from './prune-ledger.ts';
import type { Random } from './random.ts';
import { Sleeper, type Zombie } from './sleeper.ts';

export type PruneTrouble =
  'none' | 'killed' | 'error' | 'refused' | 'zombie' | 'overtaken' | 'cancel' | 'yield' | 'database';

const TROUBLES: readonly PruneTrouble[] = [
  'killed',
  'killed',
  'error',
  'error',
  'refused',
  'zombie',
  'zombie',
  'overtaken',
  'cancel',
  'yield',
  'database',
];

/** What a prune of the model needs of the history that it is part of. */
export interface MaintenanceWorld {
  readonly random: Random;
  readonly bucket: ModelBucket;
  readonly context: Omit<PruneContext, 'ledger' | 'store' | 'wholeData'>;
  readonly zombies: Zombie[];
  readonly database: () => ModelDatabase;
  /** The database's clock. */
  readonly now: () => number;
}

export interface PruneOutcome {
  readonly report: PruneReport | null;
  /** The job has to be reindexed before anything else. */
  readonly stale: boolean;
}

const EXPECTED: ReadonlySet<string> = new Set(['ERR_S3_PREFLIGHT_NETWORK', 'ERR_CANCELLED', 'ERR_DELETE_REFUSED']);

/** How many requests of a prune sleep before it wakes: all that it has under way. */
const SLEEPING_REQUESTS = 3;

/** The prunes of a history: each may be killed, fall asleep, be overtaken, or meet a store or a database that fails. */
export class Maintenance {
  readonly #world: MaintenanceWorld;
  #requests = 30;

  constructor(world: MaintenanceWorld) {
    this.#world = world;
  }

  pickTrouble(): PruneTrouble {
    return this.#world.random.chance(0.3) ? 'none' : this.#world.random.pick(TROUBLES);
  }

  /** One prune, from its claim to its end or until nobody waits for it any more. */
  async prune(trouble: PruneTrouble): Promise<PruneOutcome> {
    const { random, zombies, now } = this.#world;
    const database = this.#world.database();
    const owned = database.beginPrune();
    const sleeper = new Sleeper();
    const ledger = new ModelPruneLedger(database, owned, now, databaseFaults(trouble === 'database', random));
    const seen = { requests: 0 };
    const store = this.#world.bucket.connect(this.#faults(trouble, { sleeper, ledger, seen }));
    const wholeData = database.tables.dataState === 'deleting';
    const work = prune({ ...this.#world.context, wholeData, ledger, store }).then(
      (report): PruneOutcome => ({ report, stale: false }),
      (error: unknown) => this.#settle(error, () => ledger.heartbeatConfirmed()),
    );
    const outcome = await Promise.race([work, sleeper.asleep]);
    if (outcome === undefined) {
      zombies.push({ wake: () => sleeper.wake(), gone: work.then(() => undefined) });
      if (database.prune === owned) database.prune = null;
      return { report: null, stale: false };
    }
    this.#requests = Math.max(20, seen.requests);
    this.#end(database, owned);
    return outcome;
  }

  randomPolicy(): RetentionPolicy {
    const { random } = this.#world;
    const tier = (): number => random.below(3);
    return random.pick<RetentionPolicy>([
      { mode: 'none' },
      { mode: 'keep_last_n', count: 1 },
      { mode: 'keep_last_n', count: 1 + random.below(4) },
      { mode: 'keep_days', days: 1 + random.below(3) },
      { mode: 'tiers', hourly: tier(), daily: tier(), weekly: tier(), monthly: 0, yearly: 1 },
    ]);
  }

  #end(database: ModelDatabase, owned: ModelPrune): void {
    owned.over = true;
    if (database.prune === owned) database.prune = null;
  }

  #settle(error: unknown, isOurs: () => boolean): PruneOutcome {
    const ended = { report: null, stale: false };
    if (error instanceof ConnectionKilled) return ended;
    if (!isBackupError(error)) throw error;
    // Whoever lost the job may find it in any state.
    if (!isOurs()) return ended;
    if (error.code === 'ERR_INDEX_STALE') return { report: null, stale: true };
    if (EXPECTED.has(error.code)) return ended;
    throw new ModelViolation(`a prune ended as ${error.code}: ${JSON.stringify(error.details)}`);
  }

  #faults(
    trouble: PruneTrouble,
    { sleeper, ledger, seen }: { sleeper: Sleeper; ledger: ModelPruneLedger; seen: { requests: number } },
  ): FaultPlan {
    const { random, zombies } = this.#world;
    const at = 1 + random.below(this.#requests);
    const wakeAt = random.chance(0.4) ? 1 + random.below(this.#requests) : -1;
    const killed = random.pick<Fault>(['die-before', 'die-after']);
    const lost = random.pick<Fault>(['error-before', 'error-after']);
    return (operation) => {
      seen.requests += 1;
      if (seen.requests === wakeAt) for (const zombie of zombies) zombie.wake();
      const hit = seen.requests === at;
      switch (trouble) {
        case 'killed':
          return hit ? killed : undefined;
        case 'error':
          return hit ? lost : undefined;
        case 'refused':
          return operation === 'delete' && seen.requests >= at
            ? { error: new BackupError('ERR_DEST_AUTH') }
            : undefined;
        case 'zombie':
          return seen.requests >= at && seen.requests < at + SLEEPING_REQUESTS ? { wait: sleeper.sleep() } : undefined;
        case 'overtaken':
          if (hit) sleeper.abandon();
          return undefined;
        case 'cancel':
          if (hit) ledger.cancel();
          return undefined;
        case 'yield':
          if (hit) ledger.makeWay();
          return undefined;
        default:
          return undefined;
      }
    };
  }
}
