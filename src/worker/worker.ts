import { setTimeout as delay } from 'node:timers/promises';
import { v7 } from 'uuid';
import { claimRuns, isAnythingQueued, type ClaimedRun } from '../database/claims.ts';
import { isUnreachable, type Database } from '../database/connect.ts';
import { readRequests } from '../database/leases.ts';
import { expireCommands } from '../database/worker-commands.ts';
import { forgetOldWorkers, registerWorker, reportWorker, type WorkerState } from '../database/workers.ts';
import { BackupError } from '../errors/backup-error.ts';
import { describeError, type Logger } from '../log.ts';
import { ActiveRun } from './active-run.ts';
import type { ClaimLimits } from '../database/claims.ts';
import { DatabaseWatch } from './database-watch.ts';
import type { HealthReport } from './health.ts';

export interface WorkerParts {
  /** Carries out one claimed run to its end and writes that end; never throws for what the run itself met. */
  execute(active: ActiveRun): Promise<void>;
  /** Takes one waiting command, and answers with what carries it out; null: there was none. */
  takeCommand(): Promise<(() => Promise<void>) | null>;
  /** Takes over lost runs of other workers. */
  recover(marginMs: number): Promise<number>;
  /** Gives connected accounts up that nobody needs any more. */
  withdrawConnections(signal: AbortSignal): Promise<number>;
  /** Ends what an earlier process on this machine left. Runs once, before the first claim. */
  endLeftovers(): Promise<void>;
  /** Limits of this moment (module settings may change while the worker runs). */
  limits(): Promise<ClaimLimits>;
}

export interface WorkerSettings {
  readonly hostname: string;
  readonly version: string;
  readonly tools: Readonly<Record<string, string>>;
  readonly engineVersion: string;
  readonly maxConcurrent: number;
  readonly pollMs: number;
  readonly leaseMs: number;
  readonly marginMs: number;
}

/** Somebody sits before a page and waits, and a server that does not answer takes seconds. */
const COMMANDS_AT_ONCE = 3;

/** Services end rarely. */
const WITHDRAW_EVERY_MS = 3_600_000;

/**
 * The loops of one worker process: claim and execute runs, keep their leases, carry out commands, take over what dead
 * colleagues left. Crash-only: it may be killed at any instruction; leases and the leash of its children do the rest.
 */
export class Worker {
  readonly uuid = v7();
  readonly #database: Database;
  readonly #settings: WorkerSettings;
  readonly #parts: WorkerParts;
  readonly #log: Logger;
  readonly #active = new Map<string, { run: ActiveRun; done: Promise<void> }>();
  readonly #commandsUnderWay = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #halted = new AbortController();
  readonly #watch: DatabaseWatch;
  #state: WorkerState = 'running';
  #loops: Promise<unknown> = Promise.resolve();

  constructor(database: Database, settings: WorkerSettings, parts: WorkerParts, log: Logger) {
    this.#database = database;
    this.#settings = settings;
    this.#parts = parts;
    this.#log = log;
    this.#watch = new DatabaseWatch(() => performance.now(), settings.pollMs * 2 + 5_000);
  }

  async start(): Promise<void> {
    await this.#parts.endLeftovers();
    await this.#register();
    const { pollMs, leaseMs } = this.#settings;
    this.#loops = Promise.all([
      this.#every('claim', pollMs, this.#stopping.signal, async () => await this.#claim()),
      this.#every('commands', Math.min(500, pollMs), this.#stopping.signal, async () => await this.#commands()),
      this.#every(
        'recovery',
        Math.min(pollMs * 2, leaseMs / 2),
        this.#stopping.signal,
        async () => await this.#recover(),
      ),
      this.#every(
        'connections',
        WITHDRAW_EVERY_MS,
        this.#stopping.signal,
        async () => await this.#parts.withdrawConnections(this.#stopping.signal),
      ),
      this.#every(
        'requests',
        Math.min(2_000, leaseMs / 4),
        this.#halted.signal,
        async () => await this.#readRequests(),
      ),
      this.#every('heartbeat', leaseMs / 4, this.#halted.signal, async () => await this.#heartbeat()),
    ]);
  }

  /** Runs that this process carries out now. */
  get activeRuns(): number {
    return this.#active.size;
  }

  health(): Pick<HealthReport, 'ok' | 'database' | 'state' | 'active_runs' | 'max_concurrent'> {
    return {
      ok: this.#watch.reachable && this.#state === 'running',
      database: this.#watch.reachable ? 'answering' : 'silent',
      state: this.#state === 'running' ? 'running' : 'stopping',
      active_runs: this.#active.size,
      max_concurrent: this.#settings.maxConcurrent,
    };
  }

  /** Stops claiming, stops the children, hands the runs back without using an attempt, and says goodbye. */
  async stop(): Promise<void> {
    if (this.#state !== 'running') return await this.#loops.then(() => {});
    this.#state = 'stopping';
    this.#stopping.abort();
    for (const { run } of this.#active.values()) run.stop(new BackupError('ERR_WORKER_STOPPING'));
    await Promise.all([...this.#active.values()].map(async ({ done }) => await done));
    this.#halted.abort();
    await this.#loops;
    await Promise.all(this.#commandsUnderWay);
    this.#state = 'stopped';
    await reportWorker(this.#database, this.uuid, 'stopped').catch(() => {});
  }

  /** Repeats `work` until `signal` aborts; an outage of the database or any other error is logged and waited out. */
  async #every(name: string, intervalMs: number, signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
    let failing = false;
    while (!signal.aborted) {
      const startedAt = performance.now();
      try {
        await work();
        this.#watch.answered(startedAt);
        if (failing) this.#log.info('the database answers again', { loop: name });
        failing = false;
      } catch (error) {
        if (isUnreachable(error)) this.#watch.failed();
        if (!failing)
          this.#log.error(isUnreachable(error) ? 'the database does not answer' : 'a loop of the worker failed', {
            loop: name,
            error: describeError(error),
          });
        failing = true;
      }
      await delay(intervalMs * (0.9 + Math.random() * 0.2), undefined, { signal }).catch(() => {});
    }
  }

  async #register(): Promise<void> {
    const { hostname, version, tools, maxConcurrent } = this.#settings;
    await registerWorker(this.#database, {
      uuid: this.uuid,
      hostname,
      version,
      tools,
      pid: process.pid,
      maxConcurrent,
    });
    await forgetOldWorkers(this.#database);
  }

  async #claim(): Promise<void> {
    if (!(await isAnythingQueued(this.#database))) return;
    for (;;) {
      const free = this.#settings.maxConcurrent - this.#active.size;
      if (free <= 0 || this.#stopping.signal.aborted) return;
      const runs = await claimRuns(this.#database, {
        worker: { uuid: this.uuid, hostname: this.#settings.hostname, maxConcurrent: this.#settings.maxConcurrent },
        limits: await this.#parts.limits(),
        leaseMs: this.#settings.leaseMs,
        engineVersion: this.#settings.engineVersion,
        slots: free,
      });
      for (const run of runs) this.#begin(run);
      if (runs.length === 0) return;
    }
  }

  #begin(run: ClaimedRun): void {
    const active = new ActiveRun(this.#database, run, this.#settings.leaseMs);
    this.#log.info('claimed a run', { run: run.uuid, kind: run.kind, claim: run.claimName, client: run.clientId });
    const done = this.#parts
      .execute(active)
      .catch((error: unknown) =>
        this.#log.error('a run ended with an error of ours', { run: run.uuid, error: describeError(error) }),
      )
      .then(() => {
        this.#active.delete(run.leaseToken);
        this.#log.info('left a run', { run: run.uuid, claim: run.claimName });
      });
    this.#active.set(run.leaseToken, { run: active, done });
    // Claimed while stopping: handed back at once.
    if (this.#stopping.signal.aborted) active.stop(new BackupError('ERR_WORKER_STOPPING'));
  }

  async #commands(): Promise<void> {
    while (!this.#stopping.signal.aborted && this.#commandsUnderWay.size < COMMANDS_AT_ONCE) {
      const work = await this.#parts.takeCommand();
      if (work === null) return;
      const done = work()
        .catch((error: unknown) =>
          this.#log.error('a command ended with an error of ours', { error: describeError(error) }),
        )
        .then(() => void this.#commandsUnderWay.delete(done));
      this.#commandsUnderWay.add(done);
    }
  }

  async #recover(): Promise<void> {
    const { leaseMs, marginMs } = this.#settings;
    // While the database was away nobody could renew: only a silence that this worker has itself watched counts.
    if (this.#watch.answeringForMs() < leaseMs + marginMs) return;
    await this.#parts.recover(marginMs);
    await expireCommands(this.#database);
  }

  async #readRequests(): Promise<void> {
    if (this.#active.size === 0) return;
    const before = [...this.#active.values()];
    const requests = await readRequests(this.#database, this.uuid);
    for (const { run } of before) {
      const request = requests.get(run.lease.token);
      if (request) run.obey(request);
    }
  }

  async #heartbeat(): Promise<void> {
    const answers = await Promise.all([...this.#active.values()].map(async ({ run }) => await run.heartbeat()));
    if (answers.includes(false)) {
      this.#watch.failed();
      return;
    }
    await reportWorker(this.#database, this.uuid, this.#state);
  }
}
