import { BackupError } from '../errors/backup-error.ts';
import type { ObjectStore, ObjectUpload } from '../storage/port.ts';
import { PartDigests } from './part-digests.ts';

/** Size of the part of this number, in bytes. Ten thousand parts have to make an object. */
export type PartSizes = (number: number) => number;

const MEBIBYTE = 1024 * 1024;
/** Parts that are sent at once, at most. */
const PARTS_AT_ONCE = 4;
const ABORT_TIMEOUT_MS = 30_000;

/** Small parts while the archive may be a small one, so that several fit into memory; with the large ones, 512 GiB fit into one object. */
export const PART_SIZES: PartSizes = (number) => (number <= 400 ? 16 : number <= 1_000 ? 24 : 56) * MEBIBYTE;

/** The whole of a piece of memory that a thread can see too. */
type Part = Buffer<SharedArrayBuffer>;

/** Memory for the parts of one archive that are being filled or sent: used again and again, as what is left to the collector stays for a while. */
export class PartBuffers {
  readonly #limit: number;
  #used = 0;
  readonly #digests = new PartDigests();
  #free: Part[] = [];

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  hasRoom(bytes: number): boolean {
    return this.#used + bytes <= this.#limit;
  }

  take(bytes: number): Part {
    this.#used += bytes;
    // Those of another size are not needed any more.
    this.#free = this.#free.filter(({ length }) => length === bytes);
    return this.#free.pop() ?? Buffer.from(new SharedArrayBuffer(bytes));
  }

  give(buffer: Part): void {
    this.#used -= buffer.length;
    this.#free.push(buffer);
  }

  /** Of the first so many bytes, in base64. */
  async md5(part: Part, bytes: number): Promise<string> {
    return await this.#digests.md5(part.buffer, bytes);
  }

  /** Nothing is sent any more. */
  async close(): Promise<void> {
    await this.#digests.close();
  }
}

export interface PartUploadOptions {
  readonly store: ObjectStore;
  /** Full key. */
  readonly key: string;
  readonly parts: PartSizes;
  readonly buffers: PartBuffers;
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
  /** The part that is being filled. */
  #part: Part | null = null;
  #filled = 0;
  #failure: { readonly error: unknown } | null = null;

  constructor(options: PartUploadOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
  }

  /** Copies the bytes. Waits while too much is held in memory. */
  async write(bytes: Buffer): Promise<void> {
    this.bytes += bytes.length;
    for (let at = 0; at < bytes.length;) {
      const part = (this.#part ??= await this.#newPart());
      this.#throwFailure();
      const copied = bytes.copy(part, this.#filled, at);
      this.#filled += copied;
      at += copied;
      if (this.#filled >= part.length) await this.#send(part);
    }
    this.#throwFailure();
  }

  /** Sends what is left, and waits until all parts have arrived. Without any part, nothing is sent yet. */
  async sendRest(): Promise<void> {
    if (this.#beginning !== null && this.#part !== null) await this.#send(this.#part);
    await Promise.all(this.#sending);
    this.#throwFailure();
  }

  async complete(): Promise<void> {
    const { store, key } = this.#options;
    const options = { signal: this.#signal };
    if (this.#beginning !== null) return await (await this.#beginning).complete(options);
    const body = this.#part?.subarray(0, this.#filled) ?? Buffer.alloc(0);
    await store.put(key, body, { ...options, contentType: CONTENT_TYPE });
    const head = await store.head(key, options);
    if (head?.size !== this.bytes) throw new BackupError('ERR_COMMIT_READBACK', undefined, { details: { key } });
  }

  /** Never throws: what could not be dropped is swept by the next prune. */
  async abort(): Promise<void> {
    this.#stop.abort(new BackupError('ERR_CANCELLED'));
    await Promise.all(this.#sending);
    if (this.#part !== null) this.#options.buffers.give(this.#part);
    this.#part = null;
    const upload = await this.#beginning?.catch(() => null);
    await upload?.abort({ signal: AbortSignal.timeout(ABORT_TIMEOUT_MS) }).catch(() => undefined);
  }

  async #newPart(): Promise<Part> {
    const { buffers, parts } = this.#options;
    const size = parts(this.#number);
    while (!buffers.hasRoom(size) && this.#sending.size > 0) await this.#oneSent();
    this.#filled = 0;
    return buffers.take(size);
  }

  async #send(part: Part): Promise<void> {
    const { store, key, buffers } = this.#options;
    while (this.#sending.size >= PARTS_AT_ONCE) await this.#oneSent();
    this.#throwFailure();
    // Not ended by `abort`, which waits for it: its answer tells what has to be dropped.
    const { signal } = this.#options;
    const upload = await (this.#beginning ??= store.beginUpload(key, { contentType: CONTENT_TYPE, signal }));
    const number = this.#number;
    this.#number += 1;
    this.#part = null;
    const bytes = this.#filled;
    const sending = buffers
      .md5(part, bytes)
      .then(async (md5) => await upload.part(number, [part.subarray(0, bytes)], { signal: this.#signal, md5 }))
      .catch((error: unknown) => {
        this.#failure ??= { error };
        this.#stop.abort(new BackupError('ERR_CANCELLED'));
      })
      .finally(() => {
        buffers.give(part);
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
