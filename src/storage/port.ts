import type { LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';
import type { DeletableKey } from '../layout/deletable.ts';

/** One object as a listing shows it. */
export interface StoredObject {
  /** Full key in the bucket, exactly as stored; a byte that is not UTF-8 (some stores take any) is a lone surrogate, U+DC00 + byte. */
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** MD5 in lower-case hex where the ETag is one (not a multipart upload, not encrypted by KMS), else null. */
  readonly md5: string | null;
  /** Epoch milliseconds. */
  readonly lastModified: number;
}

/** What HEAD tells beyond a listing. `metadata` holds user metadata with lower-case names. */
export interface ObjectHead extends StoredObject {
  readonly metadata: Readonly<Record<string, string>>;
}

export interface ListOptions {
  signal?: AbortSignal;
  /** List keys after this one only. */
  startAfter?: string;
}

export interface GetOptions {
  signal?: AbortSignal;
  /** Absent: of any size. Whoever owns the bucket may have put anything under any name. */
  mostBytes?: number;
}

export class ObjectTooLarge extends Error {
  constructor() {
    super('the object is larger than what may be read of it');
    this.name = 'ObjectTooLarge';
  }
}

/**
 * One bucket, seen with one set of credentials. Every method throws BackupError with `ERR_DEST_AUTH`,
 * `ERR_DEST_BUCKET_NOT_FOUND` or `ERR_S3_PREFLIGHT_NETWORK` where that is what happened; a missing object is `null`, not an error.
 * Implementations: `s3.ts`, and the in-process store of the tests; both are held to test/contract/storage.ts.
 */
export interface ObjectStore {
  /** All objects whose key begins with `prefix`, in the order of the store (S3: bytes of the key), streamed page by page. */
  list(prefix: string, options?: ListOptions): AsyncIterable<StoredObject>;
  /** The "folders" directly below `prefix` (delimiter `/`): full prefixes that end in a slash. */
  listFolders(prefix: string, options?: ListOptions): Promise<string[]>;
  /**
   * The whole body, or null when there is no such object. For small objects (manifests, chunks, markers).
   * @throws ObjectTooLarge when it has more than `mostBytes`; of such an object hardly more than that is read
   */
  get(key: string, options?: GetOptions): Promise<Buffer | null>;
  /** The body as a stream, or null. `range` is inclusive, in bytes. */
  stream(
    key: string,
    options?: { range?: { first: number; last: number }; signal?: AbortSignal },
  ): Promise<Readable | null>;
  head(key: string, options?: { signal?: AbortSignal }): Promise<ObjectHead | null>;
  /** Writes a small object whole. Callers never overwrite: keys of the format are unique per claim. */
  put(key: string, body: Buffer, options?: { contentType?: string; signal?: AbortSignal }): Promise<void>;
  /**
   * Begins an upload in parts of a new object, of up to 10,000 parts. Nothing is to be seen of it before it is completed; what is neither
   * completed nor aborted takes room until a prune finds it.
   */
  beginUpload(key: string, options?: { contentType?: string; signal?: AbortSignal }): Promise<ObjectUpload>;
  /** Server-side copy within the bucket; metadata goes along. Returns false when the source object is missing. */
  copy(fromKey: string, toKey: string, options?: { signal?: AbortSignal }): Promise<boolean>;
  /**
   * Deletes; missing keys are no error. Only pruning calls it, and only its type of key is taken. When it throws, any of the keys may be
   * deleted. Throws `ERR_DEST_AUTH` or `ERR_DEST_REFUSED` where the store does not let go of one.
   */
  delete(keys: readonly DeletableKey[], options?: { signal?: AbortSignal }): Promise<void>;
  /** Multipart uploads below `prefix` that were begun and neither completed nor aborted. None where the store cannot list them. */
  listUploads(prefix: string, options?: { signal?: AbortSignal }): AsyncIterable<PendingUpload>;
  /** Drops the parts of a pending upload; one that is gone already is no error. */
  abortUpload(key: DeletableKey, uploadId: string, options?: { signal?: AbortSignal }): Promise<void>;
  /** Whether the bucket keeps what is deleted or overwritten as older versions. `unknown`: the store does not say. */
  versioning(options?: { signal?: AbortSignal }): Promise<Versioning>;
}

/** An object that comes in parts. Parts of at least 5 MiB, save the last; their numbers count from 1, without a gap. */
export interface ObjectUpload {
  readonly key: string;
  readonly uploadId: string;
  /**
   * Sends a part, several at once if need be. The pieces are read again when the part has to be sent again.
   * @param options.md5 of the part in base64, where it is known already
   */
  part(number: number, pieces: readonly Buffer[], options?: { signal?: AbortSignal; md5?: string }): Promise<void>;
  /** Makes the object of all parts that were sent, and looks whether it has their size. @throws BackupError `ERR_COMMIT_READBACK` */
  complete(options?: { signal?: AbortSignal }): Promise<void>;
  /** Drops all parts; no error when the upload is gone already. */
  abort(options?: { signal?: AbortSignal }): Promise<void>;
}

export interface PendingUpload {
  /** Full key, as in StoredObject. */
  readonly key: string;
  readonly uploadId: string;
  /** Epoch milliseconds; NaN where the store does not say. */
  readonly startedAt: number;
}

export type Versioning = 'off' | 'on' | 'unknown';

/** Where and as whom a bucket is reached. Secrets are plain here: such a value lives in a worker's memory only. */
export interface BucketAccess {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** rclone's name of the dialect: `Ceph`, `Other`, `Rclone`, `AWS`, `Minio` … */
  readonly provider: string;
  /** How our own client finds the address of the endpoint's name; absent: as the system does. */
  readonly lookup?: LookupFunction;
}
