import { BackupError } from '../../src/errors/backup-error.ts';
import type { DeletableKey } from '../../src/layout/deletable.ts';
import { ConnectionKilled, MemoryBucket, type FaultPlan, type StoreOperation } from '../../src/storage/memory.ts';
import type {
  ListOptions,
  ObjectStore,
  ObjectUpload,
  PendingUpload,
  StoredObject,
  Versioning,
} from '../../src/storage/port.ts';

/** A bucket that model processes connect to, each with faults of its own. */
export interface ModelBucket {
  connect(faults?: FaultPlan): ObjectStore;
  /** As a process that died in the middle of an upload in parts leaves it; null where nobody can make one by hand. */
  readonly beginUpload: ((key: string) => void) | null;
}

export function memoryModelBucket(): ModelBucket {
  const bucket = new MemoryBucket({ pageSize: 5 });
  return { connect: (faults) => bucket.connect(faults), beginUpload: (key) => void bucket.beginUpload(key) };
}

/** A bucket on a real server; faults are made around the requests. */
export function realModelBucket(open: () => ObjectStore): ModelBucket {
  return {
    connect: (faults) => (faults === undefined ? open() : new FaultyStore(open(), faults)),
    beginUpload: null,
  };
}

class FaultyStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #faults: FaultPlan;
  #killed = false;

  constructor(store: ObjectStore, faults: FaultPlan) {
    this.#store = store;
    this.#faults = faults;
  }

  async *list(prefix: string, options?: ListOptions): AsyncGenerator<StoredObject> {
    const objects = await this.#request('list', prefix, async () => {
      const all: StoredObject[] = [];
      for await (const object of this.#store.list(prefix, options)) all.push(object);
      return all;
    });
    yield* objects;
  }

  async listFolders(prefix: string, options?: ListOptions): Promise<string[]> {
    return await this.#request('listFolders', prefix, () => this.#store.listFolders(prefix, options));
  }

  async get(...args: Parameters<ObjectStore['get']>): ReturnType<ObjectStore['get']> {
    return await this.#request('get', args[0], () => this.#store.get(...args));
  }

  async stream(...args: Parameters<ObjectStore['stream']>): ReturnType<ObjectStore['stream']> {
    return await this.#request('stream', args[0], () => this.#store.stream(...args));
  }

  async head(...args: Parameters<ObjectStore['head']>): ReturnType<ObjectStore['head']> {
    return await this.#request('head', args[0], () => this.#store.head(...args));
  }

  async put(...args: Parameters<ObjectStore['put']>): Promise<void> {
    await this.#request('put', args[0], () => this.#store.put(...args));
  }

  async beginUpload(...args: Parameters<ObjectStore['beginUpload']>): Promise<ObjectUpload> {
    const [key] = args;
    const upload = await this.#request('beginUpload', key, () => this.#store.beginUpload(...args));
    return {
      key,
      uploadId: upload.uploadId,
      part: async (...part) => await this.#request('uploadPart', key, () => upload.part(...part)),
      complete: async (options) => await this.#request('completeUpload', key, () => upload.complete(options)),
      abort: async (options) => await this.#request('abortUpload', key, () => upload.abort(options)),
    };
  }

  async copy(...args: Parameters<ObjectStore['copy']>): Promise<boolean> {
    return await this.#request('copy', args[1], () => this.#store.copy(...args));
  }

  async delete(...args: Parameters<ObjectStore['delete']>): Promise<void> {
    await this.#request('delete', args[0][0] ?? '', () => this.#store.delete(...args));
  }

  async *listUploads(prefix: string, options?: { signal?: AbortSignal }): AsyncGenerator<PendingUpload> {
    const uploads = await this.#request('listUploads', prefix, async () => {
      const all: PendingUpload[] = [];
      for await (const upload of this.#store.listUploads(prefix, options)) all.push(upload);
      return all;
    });
    yield* uploads;
  }

  async abortUpload(key: DeletableKey, uploadId: string, options?: { signal?: AbortSignal }): Promise<void> {
    await this.#request('abortUpload', key, () => this.#store.abortUpload(key, uploadId, options));
  }

  async versioning(options?: { signal?: AbortSignal }): Promise<Versioning> {
    return await this.#request('versioning', '', () => this.#store.versioning(options));
  }

  async #request<T>(operation: StoreOperation, key: string, effect: () => Promise<T>): Promise<T> {
    if (this.#killed) throw new ConnectionKilled();
    const fault = this.#faults(operation, key);
    if (fault === 'error-before') throw new BackupError('ERR_S3_PREFLIGHT_NETWORK');
    if (fault === 'die-before') this.#killed = true;
    if (this.#killed) throw new ConnectionKilled();
    if (typeof fault === 'object') {
      if ('error' in fault) throw fault.error;
      await fault.wait;
    }
    const result = await effect();
    if (fault === 'die-after') this.#killed = true;
    if (this.#killed) throw new ConnectionKilled();
    if (fault === 'error-after') throw new BackupError('ERR_S3_PREFLIGHT_NETWORK');
    return result;
  }
}
