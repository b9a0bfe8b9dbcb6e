import type { JobCipher } from '../crypt/job-cipher.ts';
import { FormatError } from '../layout/entries.ts';
import { invalid } from '../layout/manifest.ts';
import {
  ObjectTooLarge,
  type ObjectHead,
  type ObjectStore,
  type PendingUpload,
  type StoredObject,
  type Versioning,
} from '../storage/port.ts';
import {
  CRYPT_KEYS_KEY,
  fileKey,
  MANIFESTS_FOLDER,
  OWNER_KEY,
  parseClaimFolder,
  parseKey,
  parseRunFolder,
  PLAIN_NAMES,
  RUN_FOLDER_START,
  type FileNames,
} from '../layout/keys.ts';
import { indexBucket, type BucketIndex } from '../layout/explain.ts';
import { mapParallel } from './task-pool.ts';

/** Folder listings at once: each is one small request, and a job has one run folder for every run that copied anything. */
const FOLDERS_AT_ONCE = 16;
/** More than any manifest or chunk that we write. */
const MOST_BYTES = 128 * 1024 * 1024;
/** More than any owner marker or keys that we write. */
const MOST_SMALL_BYTES = 64 * 1024;

/** What an object of a claim's folder says of the file in it. */
export interface FileFacts {
  /** Bytes; -1 when no file has such an object. */
  readonly size: number;
  /** MD5 in lower-case hex where the store tells it. An encrypted object's says nothing of the file. */
  readonly md5: string | null;
}

/**
 * One job's part of a bucket: keys are relative to its prefix `P`, and every request ends with the signal. With a cipher, manifests and
 * chunks are encrypted on their way to the bucket and opened on their way back; all other documents are plain. Whoever owns the bucket may
 * have put an object of any size under a name of ours: that must cost nobody else anything.
 */
export class JobBucket {
  readonly store: ObjectStore;
  readonly prefix: string;
  /** Null: the job is not encrypted. */
  readonly cipher: JobCipher | null;
  /** How its files are named below `files/`. */
  readonly names: FileNames;
  readonly #signal: AbortSignal;

  constructor(store: ObjectStore, prefix: string, signal: AbortSignal, cipher: JobCipher | null = null) {
    this.store = store;
    this.prefix = prefix;
    this.cipher = cipher;
    this.names = cipher ?? PLAIN_NAMES;
    this.#signal = signal;
  }

  /**
   * A document. Of an owner marker or keys that cannot be ours for their size, nothing: that is as unreadable as what is not ours.
   * @throws BackupError `ERR_MANIFEST_INVALID` for another one that cannot be ours, or is encrypted and does not open
   */
  async get(key: string): Promise<Buffer | null> {
    const small = SMALL.has(key);
    try {
      const mostBytes = small ? MOST_SMALL_BYTES : MOST_BYTES;
      return this.#opened(key, await this.store.get(this.prefix + key, { signal: this.#signal, mostBytes }));
    } catch (error) {
      if (!(error instanceof ObjectTooLarge)) throw error;
      if (small) return Buffer.alloc(0);
      throw invalid(key, 'it is larger than anything that we write');
    }
  }

  async put(key: string, body: Buffer, contentType = 'application/octet-stream'): Promise<void> {
    const sealed = this.cipher !== null && isSealed(key);
    await this.store.put(this.prefix + key, sealed ? this.cipher.seal(body) : body, {
      contentType: sealed ? 'application/octet-stream' : contentType,
      signal: this.#signal,
    });
  }

  /** Where this claim puts the file of this path. */
  fileKey(run: string, claim: string, path: string): string {
    return fileKey(run, claim, path, this.names);
  }

  async head(key: string): Promise<ObjectHead | null> {
    return await this.store.head(this.prefix + key, { signal: this.#signal });
  }

  /** What an object of a claim's folder says of the file in it. */
  factsOf({ size, md5 }: FileFacts): FileFacts {
    return this.cipher === null ? { size, md5 } : { size: this.cipher.plainSize(size) ?? -1, md5: null };
  }

  #opened(key: string, body: Buffer | null): Buffer | null {
    if (body === null || this.cipher === null || !isSealed(key)) return body;
    try {
      return this.cipher.open(body);
    } catch (error) {
      if (error instanceof FormatError) throw invalid(key, error.message, error);
      throw error;
    }
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

const SMALL: ReadonlySet<string> = new Set([OWNER_KEY, CRYPT_KEYS_KEY]);

function isSealed(key: string): boolean {
  const kind = parseKey(key)?.kind;
  return kind === 'manifest' || kind === 'chunk';
}
