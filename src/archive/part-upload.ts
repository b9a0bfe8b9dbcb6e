import { BackupError } from '../errors/backup-error.ts';
import type { ObjectStore, ObjectUpload } from '../storage/port.ts';

/** Size of the part of this number, in bytes. Ten thousand parts have to make an object. */
export type PartSizes = (number: number) => number;

const MEBIBYTE = 1024 * 1024;
/** Parts that are sent at once, at most. */
const PARTS_AT_ONCE = 4;
const ABORT_TIMEOUT_MS = 30_000;

/** Small parts while the archive may be a small one; with large ones from 8 GiB on, 512 GiB and more fit into one object. */
export const PART_SIZES: PartSizes = (number) => (number <= 512 ? 16 : 64) * MEBIBYTE;

/** What an archive may hold in memory of parts that are being filled or sent. */
export class UploadBudget {
  readonly #limit: number;
  #used = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  take(bytes: number): void {
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }

  get isFull(): boolean {
    return this.#used >= this.#limit;
  }
}

export interface PartUploadOptions {
  readonly store: ObjectStore;
  /** Full key. */
  readonly key: string;
  readonly parts: PartSizes;
  readonly budget: UploadBudget;
  readonly signal: AbortSignal;
}

/** One object whose size nobody knows beforehand: in parts, several at once, or whole when one part holds all of it. */
export class PartUpload {
  bytes = 0;
  readonly #options: PartUploadOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #sending = new Set<Promise<void>>();
  #beginning: Promise<ObjectUpload> | null = null;
  #number = 1;
  #pieces: Buffer[] = [];
  #filled = 0;
  #failure: { readonly error: unknown } | null = null;

  constructor(options: PartUploadOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
  }

  /** Takes the bytes over: they must not be changed afterwards. Waits while too much is held in memory. */
  async write(bytes: Buffer): Promise<void> {
    const { budget, parts } = this.#options;
    this.bytes += bytes.length;
    for (let at = 0; at < bytes.length;) {
      this.#throwFailure();
      const piece = bytes.subarray(at, at + parts(this.#number) - this.#filled);
      budget.take(piece.length);
      this.#pieces.push(piece);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled >= parts(this.#number)) await this.#send();
    }
    while (budget.isFull && this.#sending.size > 0) await this.#oneSent();
    this.#throwFailure();
  }

  /** Sends what is left, and waits until all parts have arrived. Without any part, nothing is sent yet. */
  async sendRest(): Promise<void> {
    if (this.#beginning !== null && this.#filled > 0) await this.#send();
    await Promise.all(this.#sending);
    this.#throwFailure();
  }

  async complete(): Promise<void> {
    const { store, key } = this.#options;
    const options = { signal: this.#signal };
    if (this.#beginning !== null) return await (await this.#beginning).complete(options);
    await store.put(key, Buffer.concat(this.#pieces), { ...options, contentType: CONTENT_TYPE });
    const head = await store.head(key, options);
    if (head?.size !== this.bytes) throw new BackupError('ERR_COMMIT_READBACK', undefined, { details: { key } });
  }

  /** Never throws: what could not be dropped is swept by the next prune. */
  async abort(): Promise<void> {
    this.#stop.abort(new BackupError('ERR_CANCELLED'));
    await Promise.all(this.#sending);
    this.#options.budget.give(this.#filled);
    this.#filled = 0;
    this.#pieces = [];
    const upload = await this.#beginning?.catch(() => null);
    await upload?.abort({ signal: AbortSignal.timeout(ABORT_TIMEOUT_MS) }).catch(() => undefined);
  }

  async #send(): Promise<void> {
    const { store, key, budget } = this.#options;
    while (this.#sending.size >= PARTS_AT_ONCE) await this.#oneSent();
    this.#throwFailure();
    // Not ended by `abort`, which waits for it: its answer tells what has to be dropped.
    const { signal } = this.#options;
    const upload = await (this.#beginning ??= store.beginUpload(key, { contentType: CONTENT_TYPE, signal }));
    const number = this.#number;
    const pieces = this.#pieces;
    const bytes = this.#filled;
    this.#number += 1;
    this.#pieces = [];
    this.#filled = 0;
    const sending = upload
      .part(number, pieces, { signal: this.#signal })
      .catch((error: unknown) => {
        this.#failure ??= { error };
        this.#stop.abort(new BackupError('ERR_CANCELLED'));
      })
      .finally(() => {
        budget.give(bytes);
        this.#sending.delete(sending);
      });
    this.#sending.add(sending);
  }

  async #oneSent(): Promise<void> {
    await Promise.race(this.#sending);
  }

  #throwFailure(): void {
    if (this.#options.signal.aborted) throw this.#options.signal.reason;
    if (this.#failure !== null) throw this.#failure.error;
  }
}

const CONTENT_TYPE = 'application/zstd';
