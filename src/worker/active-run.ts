import type { ClaimedRun } from '../database/claims.ts';
import { isUnreachable, type Database } from '../database/connect.ts';
import { renewLease, type HeartbeatAnswer, type Lease } from '../database/leases.ts';
import { renewHolds } from '../database/restore-points.ts';
import { BackupError } from '../errors/backup-error.ts';
import type { RunKind } from '../runs/state.ts';

/** Kinds that hold the job's key and make room for a backup. */
const givesWay: ReadonlySet<RunKind> = new Set(['maintenance', 'validation']);

/**
 * One claimed run of this process and its lease. `signal` aborts when the run must stop; its reason is a BackupError:
 * ERR_CANCELLED, ERR_LEASE_LOST, ERR_HOLD_LOST, ERR_WORKER_STOPPING, for validation ERR_YIELDED too. `yieldSignal` aborts when a backup waits for the job: maintenance
 * and validation stop at their next safe point, keep what they did, and end with ERR_YIELDED.
 */
export class ActiveRun {
  readonly run: ClaimedRun;
  readonly lease: Lease;
  readonly #database: Database;
  readonly #leaseMs: number;
  readonly #clock: () => number;
  readonly #abort = new AbortController();
  readonly #yield = new AbortController();
  readonly #holds = new Set<string>();
  #confirmedAt: number;

  constructor(database: Database, run: ClaimedRun, leaseMs: number, clock: () => number = () => performance.now()) {
    this.#database = database;
    this.run = run;
    this.lease = { runId: run.id, runUuid: run.uuid, token: run.leaseToken };
    this.#leaseMs = leaseMs;
    this.#clock = clock;
    this.#confirmedAt = clock();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Only ever aborts for maintenance and validation; its reason is BackupError ERR_YIELDED. */
  get yieldSignal(): AbortSignal {
    return this.#yield.signal;
  }

  get leaseMs(): number {
    return this.#leaseMs;
  }

  stop(reason: BackupError): void {
    if (!this.#abort.signal.aborted) this.#abort.abort(reason);
  }

  /** Holds that are renewed with every heartbeat; losing one ends the run. */
  watchHolds(tokens: readonly string[]): void {
    for (const token of tokens) this.#holds.add(token);
  }

  forgetHolds(): string[] {
    const tokens = [...this.#holds];
    this.#holds.clear();
    return tokens;
  }

  /** A heartbeat was answered within the lease: only then may anything be deleted. */
  heartbeatConfirmed(): boolean {
    return !this.signal.aborted && this.#clock() - this.#confirmedAt < this.#leaseMs;
  }

  /** Does what is asked of the run. */
  obey(request: HeartbeatAnswer): void {
    if (request.cancelRequested)
      this.stop(new BackupError('ERR_CANCELLED', undefined, { details: { forced: request.cancelForced } }));
    else if (request.yieldRequested && !this.#yield.signal.aborted && givesWay.has(this.run.kind)) {
      this.#yield.abort(new BackupError('ERR_YIELDED'));
      // It only reads: any point is safe. Maintenance ends what it has begun to delete.
      if (this.run.kind === 'validation') this.stop(new BackupError('ERR_YIELDED'));
    }
  }

  /**
   * Renews lease and holds, and learns what is asked of the run. While the database cannot be reached nothing happens: the transfer
   * may go on, because a claim writes only into its own folder. Returns whether the database answered.
   */
  async heartbeat(): Promise<boolean> {
    const startedAt = this.#clock();
    try {
      const answer = await renewLease(this.#database, this.lease, this.#leaseMs);
      if (answer === null) {
        this.stop(new BackupError('ERR_LEASE_LOST'));
        return true;
      }
      const tokens = [...this.#holds];
      if (
        tokens.length > 0 &&
        (await renewHolds(this.#database, tokens, this.#leaseMs * 4)) < tokens.length &&
        this.#holds.size === tokens.length
      ) {
        this.stop(new BackupError('ERR_HOLD_LOST'));
      }
      this.#confirmedAt = startedAt;
      this.obey(answer);
      return true;
    } catch (error) {
      if (isUnreachable(error)) return false;
      throw error;
    }
  }
}
