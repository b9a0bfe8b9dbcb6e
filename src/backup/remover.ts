import { setTimeout as delay } from 'node:timers/promises';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { DeletableKeys, type DeletableKey } from '../layout/deletable.ts';
import type { ObjectStore } from '../storage/port.ts';
import type { PruneLedger } from './prune-ledger.ts';
import { TaskPool } from './task-pool.ts';

/** What S3 takes in one DeleteObjects. */
const DEFAULT_BATCH_KEYS = 1_000;
const BATCHES_AT_ONCE = 8;
const DEFAULT_HEARTBEAT_WAIT_MS = 120_000;
const HEARTBEAT_POLL_MS = 250;

export interface RemoverOptions {
  readonly store: ObjectStore;
  readonly prefix: string;
  readonly ledger: Pick<PruneLedger, 'heartbeatConfirmed'>;
  readonly signal: AbortSignal;
  readonly heartbeatWaitMs?: number | undefined;
  /** Keys in one request, at most (default 1,000). */
  readonly batchKeys?: number | undefined;
  /** Called between batches; may throw to stop. */
  readonly safePoint: () => void;
}

/**
 * The only place that deletes: keys of the format below the job's prefix, each batch only after a heartbeat that was answered within the
 * lease.
 */
export class Remover {
  readonly keys: DeletableKeys;
  readonly #options: RemoverOptions;

  constructor(options: RemoverOptions) {
    this.#options = options;
    this.keys = new DeletableKeys(options.prefix);
  }

  /**
   * Deletes all of them, some batches at once; `onDeleted` is told each batch that is gone.
   * @throws BackupError `ERR_DELETE_REFUSED` where the store does not let go
   */
  async removeAll<T extends { readonly key: DeletableKey }>(
    objects: AsyncIterable<T> | Iterable<T>,
    onDeleted: (batch: readonly T[]) => void = () => undefined,
  ): Promise<void> {
    const pool = new TaskPool(BATCHES_AT_ONCE);
    const { batchKeys = DEFAULT_BATCH_KEYS } = this.#options;
    let batch: T[] = [];
    const flush = async (): Promise<void> => {
      const full = batch;
      batch = [];
      this.#options.safePoint();
      await pool.start(async () => {
        await this.#delete(full.map(({ key }) => key));
        onDeleted(full);
      });
    };
    try {
      for await (const object of objects) if (batch.push(object) >= batchKeys) await flush();
      if (batch.length > 0) await flush();
    } finally {
      await pool.drain();
    }
  }

  /** Deletes what our own code named by keys relative to the prefix. */
  async remove(keys: Iterable<string>): Promise<void> {
    const objects = Array.from(keys, (key) => ({ key: this.keys.of(key) }));
    await this.removeAll(objects);
  }

  /** Deletes the keys that are left when all else is gone, one after the other: the owner marker last. */
  async removeLast(): Promise<void> {
    for (const key of this.keys.last) await this.#delete([key]);
  }

  async abortUpload(key: DeletableKey, uploadId: string): Promise<void> {
    const { store, signal } = this.#options;
    await this.#confirmed();
    await refusable(() => store.abortUpload(key, uploadId, { signal }));
  }

  async #delete(keys: readonly DeletableKey[]): Promise<void> {
    const { store, signal } = this.#options;
    await this.#confirmed();
    await refusable(() => store.delete(keys, { signal }));
  }

  /** Returns at once while the lease is ours; waits for a heartbeat that is overdue. */
  async #confirmed(): Promise<void> {
    const { ledger, signal, heartbeatWaitMs = DEFAULT_HEARTBEAT_WAIT_MS } = this.#options;
    for (let waitedMs = 0; !ledger.heartbeatConfirmed(); waitedMs += HEARTBEAT_POLL_MS) {
      signal.throwIfAborted();
      if (waitedMs >= heartbeatWaitMs) throw new BackupError('ERR_DATABASE_UNREACHABLE');
      await delay(HEARTBEAT_POLL_MS, undefined, { signal }).catch(() => undefined);
    }
    signal.throwIfAborted();
  }
}

async function refusable(request: () => Promise<void>): Promise<void> {
  try {
    await request();
  } catch (error) {
    if (!isBackupError(error, 'ERR_DEST_AUTH', 'ERR_DEST_REFUSED')) throw error;
    throw new BackupError('ERR_DELETE_REFUSED', undefined, { cause: error, details: error.details });
  }
}
