import type { ObjectStore, PendingUpload, StoredObject, Versioning } from '../storage/port.ts';
import { RUN_FOLDER_START, MANIFESTS_FOLDER, parseClaimFolder, parseRunFolder } from '../layout/keys.ts';
import { indexBucket, type BucketIndex } from '../layout/explain.ts';
import { mapParallel } from './task-pool.ts';

/** Folder listings at once: each is one small request, and a job has one run folder for every run that copied anything. */
const FOLDERS_AT_ONCE = 16;

/** One job's part of a bucket: keys are relative to its prefix `P`, and every request ends with the signal. */
export class JobBucket {
  readonly store: ObjectStore;
  readonly prefix: string;
  readonly #signal: AbortSignal;

  constructor(store: ObjectStore, prefix: string, signal: AbortSignal) {
    this.store = store;
    this.prefix = prefix;
    this.#signal = signal;
  }

  async get(key: string): Promise<Buffer | null> {
    return await this.store.get(this.prefix + key, { signal: this.#signal });
  }

  async put(key: string, body: Buffer, contentType = 'application/octet-stream'): Promise<void> {
    await this.store.put(this.prefix + key, body, { contentType, signal: this.#signal });
  }

  async copy(fromKey: string, toKey: string): Promise<boolean> {
    return await this.store.copy(this.prefix + fromKey, this.prefix + toKey, { signal: this.#signal });
  }

  /** Objects below a relative prefix, with relative keys. */
  async *list(prefix: string): AsyncGenerator<StoredObject> {
    const start = this.prefix.length;
    for await (const object of this.store.list(this.prefix + prefix, { signal: this.#signal })) {
      yield { ...object, key: object.key.slice(start) };
    }
  }

  /** Pending multipart uploads below the prefix, with relative keys. */
  async *uploads(): AsyncGenerator<PendingUpload> {
    for await (const upload of this.store.listUploads(this.prefix, { signal: this.#signal })) {
      yield { ...upload, key: upload.key.slice(this.prefix.length) };
    }
  }

  async versioning(): Promise<Versioning> {
    return await this.store.versioning({ signal: this.#signal });
  }

  /** Relative folder names directly below a relative prefix. */
  async folders(prefix: string): Promise<string[]> {
    const folders = await this.store.listFolders(this.prefix + prefix, { signal: this.#signal });
    return folders.map((folder) => folder.slice(this.prefix.length));
  }

  async isEmpty(): Promise<boolean> {
    for await (const _ of this.list('')) return false;
    return true;
  }

  /** What of the format lies here: `manifests/` and the claim folders of every run. */
  async index(): Promise<BucketIndex> {
    const [manifestKeys, runs] = await Promise.all([this.#manifestKeys(), this.#runs()]);
    const folders = await mapParallel(
      runs,
      FOLDERS_AT_ONCE,
      async (run) => await this.folders(`${RUN_FOLDER_START}${run}/`),
    );
    const claimFolders = folders.flat().map(parseClaimFolder);
    return indexBucket({
      manifestKeys,
      runFolders: runs,
      claimFolders: claimFolders.filter((claim) => claim !== null),
    });
  }

  async #manifestKeys(): Promise<string[]> {
    const keys: string[] = [];
    for await (const object of this.list(MANIFESTS_FOLDER)) keys.push(object.key);
    return keys;
  }

  async #runs(): Promise<string[]> {
    const folders = await this.folders(RUN_FOLDER_START);
    return folders.map(parseRunFolder).filter((run) => run !== null);
  }
}
