import { BackupError } from '../errors/backup-error.ts';

/**
 * How many downloads of one client this process sends at the same time. Counted in memory: each process has its own sockets and memory to
 * protect, and a count that dies with its process can't stay too high.
 */
export class DownloadSlots {
  readonly #limit: number;
  readonly #taken = new Map<number, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Resolves to what gives the slot back; calling it twice does no harm. @throws BackupError `TOO_MANY_DOWNLOADS` */
  take(clientId: number): () => void {
    const taken = this.#taken.get(clientId) ?? 0;
    if (taken >= this.#limit) throw new BackupError('TOO_MANY_DOWNLOADS');
    this.#taken.set(clientId, taken + 1);
    let mine = true;
    return () => {
      if (!mine) return;
      mine = false;
      const left = (this.#taken.get(clientId) ?? 1) - 1;
      if (left > 0) this.#taken.set(clientId, left);
      else this.#taken.delete(clientId);
    };
  }
}
