import { holdPoint, releaseHolds, renewHolds } from '../database/restore-points.ts';
import type { Database } from '../database/connect.ts';
import { BackupError } from '../errors/backup-error.ts';

const HOLD_MS = 240_000;

/** A hold on a point for as long as somebody reads it here: renewed by itself, given back by `release`. */
export class PointHold {
  readonly #database: Database;
  readonly #token: string;
  readonly #ttlMs: number;
  readonly #lost = new AbortController();
  readonly #timer: NodeJS.Timeout;

  private constructor(database: Database, token: string, ttlMs: number) {
    this.#database = database;
    this.#token = token;
    this.#ttlMs = ttlMs;
    this.#timer = setInterval(() => void this.#renew(), ttlMs / 8);
    this.#timer.unref();
  }

  /** @throws BackupError `POINT_NOT_FOUND`: it is not kept any more */
  static async take(
    database: Database,
    point: { readonly id: number; readonly by: string },
    ttlMs = HOLD_MS,
  ): Promise<PointHold> {
    const token = await holdPoint(database, {
      pointId: point.id,
      runUuid: point.by,
      purpose: 'restore',
      ttlMs,
    });
    if (token === null) throw new BackupError('POINT_NOT_FOUND');
    return new PointHold(database, token, ttlMs);
  }

  /** Aborts with `ERR_HOLD_LOST` when the point may be removed although it is still being read. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#database.transaction(async (trx) => await releaseHolds(trx, [this.#token]));
  }

  async #renew(): Promise<void> {
    try {
      const renewed = await renewHolds(this.#database, [this.#token], this.#ttlMs);
      if (renewed === 0) this.#lost.abort(new BackupError('ERR_HOLD_LOST'));
    } catch {
      // The database is away: the hold still stands for minutes, and the next try may get through.
    }
  }
}
