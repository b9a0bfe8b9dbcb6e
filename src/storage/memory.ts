import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { BackupError } from '../errors/backup-error.ts';
import type { DeletableKey } from '../layout/deletable.ts';
import { compareUtf8 } from '../layout/order.ts';
import {
  ObjectTooLarge,
  type GetOptions,
  type ListOptions,
  type ObjectHead,
  type ObjectStore,
  type ObjectUpload,
  type PendingUpload,
  type StoredObject,
  type Versioning,
} from './port.ts';

/**
 * A bucket in this process, for tests that need thousands of them, and faults at will. Held to the same contract suite as real servers.
 * Several connections see one bucket, each with faults and a kill switch of its own: one connection is one process of the field.
 */
export type StoreOperation =
  | 'list'
  | 'listFolders'
  | 'get'
  | 'stream'
  | 'head'
  | 'put'
  | 'copy'
  | 'delete'
  | 'listUploads'
  | 'beginUpload'
  | 'uploadPart'
  | 'completeUpload'
  | 'abortUpload'
  | 'versioning';

/**
 * What happens to one request. `error-after` is an answer that got lost: the request took effect. `die-…` kills the connection as if its
 * process had been killed there. `wait` holds the request back, before it takes effect, until the promise is settled; then it takes effect even if
 * the connection was killed meanwhile, as a request does that was already under way.
 */
export type Fault =
  | 'error-before'
  | 'error-after'
  | 'die-before'
  | 'die-after'
  | { readonly wait: Promise<unknown> }
  /** Fails with this, and takes no effect. */
  | { readonly error: BackupError };

/** Asked before each request (list: before each page; delete: before each key). */
export type FaultPlan = (operation: StoreOperation, key: string) => Fault | undefined;

export interface MemoryConnection extends ObjectStore {
  /** From now on every request fails with ConnectionKilled; nothing more takes effect, save what a `wait` held back. */
  kill(): void;
  readonly killed: boolean;
}

/** Thrown by a killed connection: no code of the package catches it as one of its own errors. */
export class ConnectionKilled extends Error {
  constructor() {
    super('the connection was killed');
    this.name = 'ConnectionKilled';
  }
}

export interface MemoryBucketOptions {
  /** Epoch milliseconds for LastModified. */
  readonly clock?: () => number;
  /** Keys in a listing's page; other requests may take effect between pages. Default 1,000. */
  readonly pageSize?: number;
}

interface Stored {
  readonly body: Buffer;
  /** Null: uploaded in parts. */
  readonly md5: string | null;
  readonly lastModified: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export class MemoryBucket {
  readonly #objects = new Map<string, Stored>();
  readonly #uploads = new Map<string, PendingUpload>();
  readonly #clock: () => number;
  readonly #pageSize: number;
  /** What `versioning` answers; deleting is the same either way. */
  versioning: Versioning = 'off';
  #sortedKeys: string[] | null = null;
  #begun = 0;

  constructor(options: MemoryBucketOptions = {}) {
    this.#clock = options.clock ?? Date.now;
    this.#pageSize = options.pageSize ?? 1_000;
  }

  connect(faults: FaultPlan = () => undefined): MemoryConnection {
    return new Connection(this, this.#pageSize, faults);
  }

  /** Writes as the transfer program would, without faults. */
  write(key: string, body: Buffer, metadata: Readonly<Record<string, string>> = {}): void {
    this.#write(key, body, createHash('md5').update(body).digest('hex'), metadata);
  }

  #write(key: string, body: Buffer, md5: string | null, metadata: Readonly<Record<string, string>>): void {
    if (!this.#objects.has(key)) this.#sortedKeys = null;
    this.#objects.set(key, {
      body,
      md5,
      lastModified: this.#clock(),
      metadata: { ...metadata },
    });
  }

  read(key: string): (ObjectHead & { body: Buffer }) | null {
    const stored = this.#objects.get(key);
    return stored === undefined ? null : { ...listed(key, stored), metadata: stored.metadata, body: stored.body };
  }

  remove(key: string): void {
    if (this.#objects.delete(key)) this.#sortedKeys = null;
  }

  /** As a transfer program that died in the middle of an upload in parts leaves it. */
  beginUpload(key: string): string {
    this.#begun += 1;
    const uploadId = `upload-${this.#begun}`;
    this.#uploads.set(uploadId, { key, uploadId, startedAt: this.#clock() });
    return uploadId;
  }

  uploads(prefix = ''): PendingUpload[] {
    return [...this.#uploads.values()].filter(({ key }) => key.startsWith(prefix));
  }

  /** False: there is no such upload any more. */
  completeUpload(key: string, uploadId: string, body: Buffer): boolean {
    if (this.#uploads.get(uploadId)?.key !== key) return false;
    this.#uploads.delete(uploadId);
    this.#write(key, body, null, {});
    return true;
  }

  abortUpload(key: string, uploadId: string): void {
    if (this.#uploads.get(uploadId)?.key === key) this.#uploads.delete(uploadId);
  }

  /** All keys that begin with the prefix, by bytes. */
  keys(prefix = ''): string[] {
    this.#sortedKeys ??= [...this.#objects.keys()].sort(compareUtf8);
    return prefix === '' ? [...this.#sortedKeys] : this.#sortedKeys.filter((key) => key.startsWith(prefix));
  }
}

class Connection implements MemoryConnection {
  readonly #bucket: MemoryBucket;
  readonly #pageSize: number;
  readonly #faults: FaultPlan;
  #killed = false;

  constructor(bucket: MemoryBucket, pageSize: number, faults: FaultPlan) {
    this.#bucket = bucket;
    this.#pageSize = pageSize;
    this.#faults = faults;
  }

  get killed(): boolean {
    return this.#killed;
  }

  kill(): void {
    this.#killed = true;
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<StoredObject> {
    let after = options.startAfter;
    for (;;) {
      const page = await this.#request('list', prefix, options.signal, () => this.#page(prefix, after));
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < this.#pageSize) return;
      after = last.key;
    }
  }

  async listFolders(prefix: string, options: ListOptions = {}): Promise<string[]> {
    return await this.#request('listFolders', prefix, options.signal, () => {
      const folders = new Set<string>();
      for (const key of this.#bucket.keys(prefix)) {
        const slash = key.indexOf('/', prefix.length);
        const folder = slash < 0 ? null : key.slice(0, slash + 1);
        if (folder !== null && isAfter(folder, options.startAfter)) folders.add(folder);
      }
      return [...folders];
    });
  }

  async get(key: string, { signal, mostBytes = Infinity }: GetOptions = {}): Promise<Buffer | null> {
    return await this.#request('get', key, signal, () => {
      const body = this.#bucket.read(key)?.body;
      if (body !== undefined && body.length > mostBytes) throw new ObjectTooLarge();
      return body === undefined ? null : Buffer.from(body);
    });
  }

  async stream(
    key: string,
    options: { range?: { first: number; last: number }; signal?: AbortSignal } = {},
  ): Promise<Readable | null> {
    const { range } = options;
    return await this.#request('stream', key, options.signal, () => {
      const body = this.#bucket.read(key)?.body;
      if (body === undefined) return null;
      if (range && range.first >= body.length) throw new BackupError('ERR_DEST_REFUSED');
      return Readable.from([range ? body.subarray(range.first, range.last + 1) : body], { objectMode: false });
    });
  }

  async head(key: string, options: { signal?: AbortSignal } = {}): Promise<ObjectHead | null> {
    return await this.#request('head', key, options.signal, () => {
      const stored = this.#bucket.read(key);
      if (stored === null) return null;
      const { body: _body, ...head } = stored;
      return head;
    });
  }

  async put(key: string, body: Buffer, options: { contentType?: string; signal?: AbortSignal } = {}): Promise<void> {
    const copy = Buffer.from(body);
    await this.#request('put', key, options.signal, () => this.#bucket.write(key, copy));
  }

  async beginUpload(key: string, options: { signal?: AbortSignal } = {}): Promise<ObjectUpload> {
    const uploadId = await this.#request('beginUpload', key, options.signal, () => this.#bucket.beginUpload(key));
    const parts = new Map<number, Buffer>();
    return {
      key,
      uploadId,
      part: async (number, pieces, { signal } = {}) =>
        await this.#request('uploadPart', key, signal, () => void parts.set(number, Buffer.concat(pieces))),
      complete: async ({ signal } = {}) => {
        const body = Buffer.concat([...parts].sort(([a], [b]) => a - b).map(([, part]) => part));
        await this.#request('completeUpload', key, signal, () => {
          if (!this.#bucket.completeUpload(key, uploadId, body)) throw new BackupError('ERR_DEST_REFUSED');
        });
      },
      abort: async ({ signal } = {}) =>
        await this.#request('abortUpload', key, signal, () => this.#bucket.abortUpload(key, uploadId)),
    };
  }

  async copy(fromKey: string, toKey: string, options: { signal?: AbortSignal } = {}): Promise<boolean> {
    return await this.#request('copy', toKey, options.signal, () => {
      const stored = this.#bucket.read(fromKey);
      if (stored === null) return false;
      this.#bucket.write(toKey, stored.body, stored.metadata);
      return true;
    });
  }

  async delete(keys: readonly DeletableKey[], options: { signal?: AbortSignal } = {}): Promise<void> {
    for (const key of keys) await this.#request('delete', key, options.signal, () => this.#bucket.remove(key));
  }

  async *listUploads(prefix: string, options: { signal?: AbortSignal } = {}): AsyncGenerator<PendingUpload> {
    yield* await this.#request('listUploads', prefix, options.signal, () => this.#bucket.uploads(prefix));
  }

  async abortUpload(key: DeletableKey, uploadId: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#request('abortUpload', key, options.signal, () => this.#bucket.abortUpload(key, uploadId));
  }

  async versioning(options: { signal?: AbortSignal } = {}): Promise<Versioning> {
    return await this.#request('versioning', '', options.signal, () => this.#bucket.versioning);
  }

  #page(prefix: string, after: string | undefined): StoredObject[] {
    const page: StoredObject[] = [];
    for (const key of this.#bucket.keys(prefix)) {
      if (!isAfter(key, after)) continue;
      const stored = this.#bucket.read(key);
      if (stored !== null) page.push(listed(key, stored));
      if (page.length === this.#pageSize) break;
    }
    return page;
  }

  async #request<T>(
    operation: StoreOperation,
    key: string,
    signal: AbortSignal | undefined,
    effect: () => T,
  ): Promise<T> {
    // A real request takes a turn of the event loop too: without it, tests would never see interleavings.
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
    if (this.#killed) throw new ConnectionKilled();
    const fault = this.#faults(operation, key);
    if (fault === 'error-before') throw lostRequest();
    if (fault === 'die-before') this.#killed = true;
    if (this.#killed) throw new ConnectionKilled();
    if (typeof fault === 'object') {
      if ('error' in fault) throw fault.error;
      await fault.wait;
    }
    const result = effect();
    if (fault === 'die-after') this.#killed = true;
    if (this.#killed) throw new ConnectionKilled();
    if (fault === 'error-after') throw lostRequest();
    return result;
  }
}

function listed(key: string, stored: Stored): StoredObject {
  return { key, size: stored.body.length, md5: stored.md5, lastModified: stored.lastModified };
}

function isAfter(key: string, after: string | undefined): boolean {
  return after === undefined || compareUtf8(key, after) > 0;
}

function lostRequest(): BackupError {
  return new BackupError('ERR_S3_PREFLIGHT_NETWORK');
}
