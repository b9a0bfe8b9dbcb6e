import type { Readable } from 'node:stream';

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
  /** The whole body, or null when there is no such object. For small objects (manifests, chunks, markers). */
  get(key: string, options?: { signal?: AbortSignal }): Promise<Buffer | null>;
  /** The body as a stream, or null. `range` is inclusive, in bytes. */
  stream(
    key: string,
    options?: { range?: { first: number; last: number }; signal?: AbortSignal },
  ): Promise<Readable | null>;
  head(key: string, options?: { signal?: AbortSignal }): Promise<ObjectHead | null>;
  /** Writes a small object whole. Callers never overwrite: keys of the format are unique per claim. */
  put(key: string, body: Buffer, options?: { contentType?: string; signal?: AbortSignal }): Promise<void>;
  /** Server-side copy within the bucket; metadata goes along. Returns false when the source object is missing. */
  copy(fromKey: string, toKey: string, options?: { signal?: AbortSignal }): Promise<boolean>;
  /** Deletes; missing keys are no error. Only retention and sweeping call it. */
  delete(keys: readonly string[], options?: { signal?: AbortSignal }): Promise<void>;
}

/** Where and as whom a bucket is reached. Secrets are plain here: such a value lives in a worker's memory only. */
export interface BucketAccess {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** rclone's name of the dialect: `Ceph`, `Other`, `Rclone`, `AWS`, `Minio` … */
  readonly provider: string;
}
