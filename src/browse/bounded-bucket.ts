import { JobBucket } from '../backup/job-bucket.ts';
import type { JobCipher } from '../crypt/job-cipher.ts';
import { isBackupError } from '../errors/backup-error.ts';
import { invalid } from '../layout/manifest.ts';
import type { ObjectStore } from '../storage/port.ts';

/** More than any manifest or chunk that we write. */
const MOST_BYTES = 128 * 1024 * 1024;

/**
 * A job's part of a bucket, read by a process that serves all customers: whoever owns the bucket may have put an object of any size under a
 * name of ours, and that must cost nobody else anything.
 */
export class BoundedBucket extends JobBucket {
  readonly #signal: AbortSignal;

  constructor(store: ObjectStore, prefix: string, signal: AbortSignal, cipher: JobCipher | null = null) {
    super(store, prefix, signal, cipher);
    this.#signal = signal;
  }

  /** @throws BackupError `ERR_MANIFEST_INVALID` for what cannot be ours */
  override async get(key: string): Promise<Buffer | null> {
    const body = await readBounded(this.store, this.prefix + key, MOST_BYTES, this.#signal);
    if (body === 'too_large') throw invalid(key, 'it is larger than anything that we write');
    return this.opened(key, body);
  }
}

const READS = 3;

/**
 * A whole object of at most so many bytes; null when there is none. Reads hardly more than that of a larger one, and again when the
 * connection breaks.
 */
export async function readBounded(
  store: ObjectStore,
  key: string,
  mostBytes: number,
  signal: AbortSignal,
): Promise<Buffer | 'too_large' | null> {
  for (let read = 1; ; read += 1) {
    const stream = await store.stream(key, { signal });
    if (stream === null) return null;
    try {
      return await collect(stream, mostBytes);
    } catch (error) {
      signal.throwIfAborted();
      if (read >= READS || !isBackupError(error, 'ERR_S3_PREFLIGHT_NETWORK')) throw error;
    }
  }
}

async function collect(stream: AsyncIterable<Buffer>, mostBytes: number): Promise<Buffer | 'too_large'> {
  const parts: Buffer[] = [];
  let bytes = 0;
  // Leaving the loop early destroys the stream, and with it the connection.
  for await (const part of stream) {
    bytes += part.length;
    if (bytes > mostBytes) return 'too_large';
    parts.push(part);
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}
