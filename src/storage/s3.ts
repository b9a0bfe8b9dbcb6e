import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import { BackupError } from '../errors/backup-error.ts';
import type { DeletableKey } from '../layout/deletable.ts';
import {
  ObjectTooLarge,
  type BucketAccess,
  type GetOptions,
  type ListOptions,
  type ObjectHead,
  type ObjectStore,
  type ObjectUpload,
  type PendingUpload,
  type StoredObject,
  type Versioning,
} from './port.ts';
import { encodeKey, readBody, readUpTo, S3Connection, type ConnectionOptions } from './s3/connection.ts';
import { copyObject, type CopyOptions } from './s3/copy.ts';
import { isMissingObject, isUnsupported, S3Failure, toBackupError } from './s3/failure.ts';
import { listPages, type Listing, type ListingDialect } from './s3/listing.ts';
import { readPart, type PartOf, type PartRequest } from './s3/part.ts';
import { S3Upload } from './s3/upload.ts';
import { abortUpload, listUploads } from './s3/uploads.ts';
import { deleteBody, md5Of, parseDeleteErrors, parseFlat, type ListingPage } from './s3/xml.ts';

export interface S3Options extends ConnectionOptions, CopyOptions {}

interface RequestOptions {
  signal?: AbortSignal;
}

const DELETE_BATCH = 1_000;
const SINGLE_DELETES_AT_ONCE = 8;

/**
 * A bucket on any S3 server. Cheap to open: connections come from a pool of the whole process, and nothing is asked before the first
 * call. Requests are signed, carry checksums that the server verifies, are repeated on passing faults, and time out.
 */
export function openS3Store(access: BucketAccess, options: S3Options = {}): ObjectStore {
  try {
    return new S3Store(new S3Connection(access, options), options);
  } catch (error) {
    throw toBackupError(error);
  }
}

/** Fills a buffer with a part of an object. Null: the server sends another one, or there is no such part. */
export type ReadPart = (request: PartRequest) => Promise<PartOf | null>;

/** Parts of objects, read whole and repeated on passing faults, with what the server says of the object each time. */
export function openS3Parts(access: BucketAccess, options: ConnectionOptions = {}): ReadPart {
  try {
    const connection = new S3Connection(access, options);
    return async (request) => {
      try {
        return await readPart(connection, request);
      } catch (error) {
        throw toBackupError(error);
      }
    };
  } catch (error) {
    throw toBackupError(error);
  }
}

/** Makes the bucket if it is not there. For demo and tests: customers' buckets are made by the host. */
export async function ensureBucket(access: BucketAccess, options: S3Options & RequestOptions = {}): Promise<void> {
  const { signal, ...rest } = options;
  try {
    await new S3Connection(access, rest).send({ method: 'PUT', signal }, readBody);
  } catch (error) {
    const exists = error instanceof S3Failure && /^BucketAlready(?:Exists|OwnedByYou)$/.test(error.code);
    if (!exists) throw toBackupError(error);
  }
}

class S3Store implements ObjectStore {
  readonly #connection: S3Connection;
  readonly #options: S3Options;
  readonly #dialect: ListingDialect = { version: 2 };
  #bucketSeen = false;

  constructor(connection: S3Connection, options: S3Options) {
    this.#connection = connection;
    this.#options = options;
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<StoredObject> {
    for await (const page of this.#pages({ prefix, startAfter: options.startAfter, signal: options.signal })) {
      yield* page.objects;
    }
  }

  async listFolders(prefix: string, options: ListOptions = {}): Promise<string[]> {
    const folders: string[] = [];
    const { startAfter, signal } = options;
    for await (const page of this.#pages({ prefix, delimiter: '/', startAfter, signal })) folders.push(...page.folders);
    return folders;
  }

  async get(key: string, { signal, mostBytes = Infinity }: GetOptions = {}): Promise<Buffer | null> {
    const read = async (answer: IncomingMessage) => await readUpTo(answer, mostBytes);
    const body = await this.#orNull(() => this.#connection.send({ method: 'GET', key, signal }, read));
    if (body?.whole === false) throw new ObjectTooLarge();
    return body?.bytes ?? null;
  }

  async stream(
    key: string,
    options: RequestOptions & { range?: { first: number; last: number } } = {},
  ): Promise<Readable | null> {
    const { range, signal } = options;
    const headers = range ? { range: `bytes=${range.first}-${range.last}` } : {};
    return await this.#orNull(() =>
      this.#connection.send({ method: 'GET', key, headers, signal }, async (answer) => bodyStream(answer)),
    );
  }

  async head(key: string, options: RequestOptions = {}): Promise<ObjectHead | null> {
    const head = await this.#orNull(() =>
      this.#connection.send({ method: 'HEAD', key, ...options }, async (answer) => {
        await readBody(answer);
        return headOf(key, answer);
      }),
    );
    // An answer to HEAD has no body, so it cannot tell a missing object from a missing bucket.
    if (head === null && !this.#bucketSeen) await this.#requireBucket(options);
    return head;
  }

  async put(key: string, body: Buffer, options: RequestOptions & { contentType?: string } = {}): Promise<void> {
    await this.#run(() =>
      this.#connection.send(
        {
          method: 'PUT',
          key,
          body,
          headers: {
            'content-type': options.contentType ?? 'application/octet-stream',
            'content-md5': createHash('md5').update(body).digest('base64'),
          },
          signal: options.signal,
        },
        readBody,
      ),
    );
  }

  async beginUpload(key: string, options: RequestOptions & { contentType?: string } = {}): Promise<ObjectUpload> {
    const { contentType = 'application/octet-stream', signal } = options;
    return await S3Upload.begin(
      this.#connection,
      { key, contentType, signal },
      async (of, more) => await this.head(of, more),
    );
  }

  async copy(fromKey: string, toKey: string, options: RequestOptions = {}): Promise<boolean> {
    const source = `/${encodeKey(this.#connection.bucket)}/${encodeKey(fromKey)}`;
    const head = await this.head(fromKey, options);
    if (head === null) return false;
    return await this.#run(() =>
      copyObject(this.#connection, { source, head, toKey, signal: options.signal }, this.#options),
    );
  }

  async delete(keys: readonly DeletableKey[], options: RequestOptions = {}): Promise<void> {
    for (let start = 0; start < keys.length; start += DELETE_BATCH) {
      await this.#run(() => this.#deleteBatch(keys.slice(start, start + DELETE_BATCH), options.signal));
    }
  }

  async *listUploads(prefix: string, options: RequestOptions = {}): AsyncGenerator<PendingUpload> {
    try {
      yield* listUploads(this.#connection, prefix, options.signal);
    } catch (error) {
      throw toBackupError(error);
    }
  }

  async abortUpload(key: DeletableKey, uploadId: string, options: RequestOptions = {}): Promise<void> {
    await this.#run(() => abortUpload(this.#connection, { key, uploadId }, options.signal));
  }

  async versioning(options: RequestOptions = {}): Promise<Versioning> {
    try {
      const answer = await this.#connection.send({ method: 'GET', query: { versioning: '' }, ...options }, readBody);
      // A suspended bucket keeps the versions that it has, but what is deleted from now on is gone.
      return parseFlat(answer.toString('utf8')).get('Status') === 'Enabled' ? 'on' : 'off';
    } catch (error) {
      if (error instanceof S3Failure && error.status > 0 && error.status !== 503) return 'unknown';
      throw toBackupError(error);
    }
  }

  async #deleteBatch(keys: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const xml = keys.length === 1 ? null : deleteBody(keys);
    if (xml === null) return await this.#deleteSingly(keys, signal);
    const body = Buffer.from(xml, 'utf8');
    const headers = {
      'content-type': 'application/xml',
      'content-md5': createHash('md5').update(body).digest('base64'),
    };
    try {
      const answer = await this.#connection.send(
        { method: 'POST', query: { delete: '' }, headers, body, signal },
        readBody,
      );
      const failed = answer.length === 0 ? [] : parseDeleteErrors(answer.toString('utf8'));
      const real = failed.find(({ code }) => code !== 'NoSuchKey');
      if (real) throw deleteFailure(real.code, failed.length);
    } catch (error) {
      if (!isUnsupported(error)) throw error;
      await this.#deleteSingly(keys, signal);
    }
  }

  async #deleteSingly(keys: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const waiting = [...keys];
    const next = async (): Promise<void> => {
      for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
        try {
          await this.#connection.send({ method: 'DELETE', key, signal }, readBody);
        } catch (error) {
          if (!isMissingObject(error)) throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(SINGLE_DELETES_AT_ONCE, keys.length) }, next));
  }

  async *#pages(listing: Listing): AsyncGenerator<ListingPage> {
    try {
      yield* listPages(this.#connection, this.#dialect, listing);
    } catch (error) {
      throw toBackupError(error);
    }
  }

  async #requireBucket({ signal }: RequestOptions): Promise<void> {
    try {
      await this.#connection.send({ method: 'HEAD', signal }, readBody);
      this.#bucketSeen = true;
    } catch (error) {
      if (error instanceof S3Failure && error.status === 404) throw new BackupError('ERR_DEST_BUCKET_NOT_FOUND');
      throw toBackupError(error);
    }
  }

  async #orNull<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (isMissingObject(error)) return null;
      throw toBackupError(error);
    }
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw toBackupError(error);
    }
  }
}

/** Some keys of a batch stay. What the store will not do later either is refused; anything else may pass. */
function deleteFailure(code: string, keys: number): S3Failure {
  const status = code === 'AccessDenied' ? 403 : /^(?:Invalid|ObjectLock|MethodNotAllowed)/.test(code) ? 400 : 500;
  return new S3Failure(status, code, `${keys} not deleted`);
}

/** The body as a stream whose errors are ours; a body that ends early is an error, not an end. */
function bodyStream(answer: IncomingMessage): Readable {
  const body = new PassThrough();
  answer.once('error', (cause) => body.destroy(new BackupError('ERR_S3_PREFLIGHT_NETWORK', undefined, { cause })));
  // Whoever stops reading early gives the connection back.
  body.once('close', () => answer.destroy());
  answer.pipe(body);
  return body;
}

function headOf(key: string, answer: IncomingMessage): ObjectHead {
  const { headers } = answer;
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith('x-amz-meta-') || typeof value !== 'string') continue;
    metadata[name.slice('x-amz-meta-'.length)] = Buffer.from(value, 'latin1').toString('utf8');
  }
  const encrypted = /^aws:kms/.test(String(headers['x-amz-server-side-encryption'] ?? ''));
  return {
    key,
    size: Number(headers['content-length'] ?? 0),
    md5: encrypted ? null : md5Of(headers.etag),
    lastModified: Date.parse(headers['last-modified'] ?? ''),
    metadata,
  };
}
