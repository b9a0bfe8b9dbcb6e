import { createHash } from 'node:crypto';
import type { ArchiveReader } from '../archive/archive-reader.ts';
import type { JobCipher } from '../crypt/job-cipher.ts';
import { streamFile } from '../crypt/sealed-object.ts';
import { BackupError } from '../errors/backup-error.ts';
import { FormatError } from '../layout/entries.ts';
import type { Entry } from '../layout/types.ts';
import { ObjectTooLarge, type ObjectStore } from '../storage/port.ts';

/** Files up to this size are read and checked as a whole before a byte of them is sent. */
export const WHOLE_BYTES = 4 * 1024 * 1024;
const READS_OF_ONE_OBJECT = 3;

/** Why a file cannot be given out. */
export type Gap =
  /** The point itself has no version of it: it could not be backed up. */
  | 'not_in_point'
  /** The object that holds it is not in the bucket. */
  | 'missing'
  /** The object is there, but it is not what was stored. */
  | 'damaged';

/** Where a point's objects lie. */
export interface Objects {
  readonly store: ObjectStore;
  /** Of the job. */
  readonly prefix: string;
  readonly signal: AbortSignal;
  /** Null or absent: its files are not encrypted. */
  readonly cipher?: JobCipher | null;
  /** Where its files lie in archives: one reader for all of them, as neighbours lie in one frame. */
  readonly archives?: ArchiveReader;
}

/** A small file, read and checked, or what is wrong with it. Throws what the storage says. */
export async function readWhole(objects: Objects, entry: Entry): Promise<Buffer | Gap> {
  if (entry.state === 'failed') return 'not_in_point';
  if (entry.offset !== undefined) return await readMember(objects, entry);
  // The bucket is the customer's: another object of any size may lie there by now.
  const { store, prefix, signal, cipher } = objects;
  const mostBytes = cipher?.sealedSize(entry.size) ?? entry.size;
  try {
    const read = await store.get(prefix + entry.key, { signal, mostBytes });
    if (read === null) return 'missing';
    const body = openedOrNull(read, cipher ?? null);
    if (body === null) return 'damaged';
    const intact = body.length === entry.size && (entry.hash === null || entry.hash === md5Of(body));
    return intact ? body : 'damaged';
  } catch (error) {
    if (error instanceof ObjectTooLarge) return 'damaged';
    throw error;
  }
}

/** Looks at a large file's object without reading it. Null: as far as can be told it is what was stored. */
export async function inspectObject(objects: Objects, entry: Entry): Promise<Gap | null> {
  if (entry.state === 'failed') return 'not_in_point';
  const head = await objects.store.head(objects.prefix + entry.key, { signal: objects.signal });
  if (head === null) return 'missing';
  if (entry.offset !== undefined) return null;
  if (objects.cipher) return objects.cipher.plainSize(head.size) === entry.size ? null : 'damaged';
  const otherHash = entry.hash !== null && head.md5 !== null && entry.hash !== `md5:${head.md5}`;
  return head.size !== entry.size || otherHash ? 'damaged' : null;
}

/**
 * A large file, piece by piece. The last piece is held back until size and hash are those of the entry: whoever gets it all has a good file.
 * A connection that breaks is taken up again where it broke, as an object never changes.
 * @throws BackupError `ERR_RESTORE_MISMATCH`, `ERR_OBJECT_MISSING`, and what the storage says
 */
export async function* readChecked(objects: Objects, entry: Entry): AsyncGenerator<Buffer> {
  const hash = createHash('md5');
  let size = 0;
  let last: Buffer | null = null;
  for await (const piece of piecesOf(objects, entry)) {
    size += piece.length;
    if (size > entry.size) throw mismatch(entry);
    hash.update(piece);
    if (last !== null) yield last;
    last = piece;
  }
  const intact = size === entry.size && (entry.hash === null || entry.hash === `md5:${hash.digest('hex')}`);
  if (!intact) throw mismatch(entry);
  if (last !== null) yield last;
}

async function* piecesOf(objects: Objects, entry: Entry): AsyncGenerator<Buffer> {
  const { signal } = objects;
  let at = 0;
  for (let read = 1; ; read += 1) {
    try {
      const stream = await open(objects, entry, at);
      if (stream === null) throw new BackupError('ERR_OBJECT_MISSING', undefined, { details: { path: entry.path } });
      for await (const piece of stream) {
        at += piece.length;
        yield piece;
      }
      if (at >= entry.size) return;
      throw new BackupError('ERR_S3_PREFLIGHT_NETWORK');
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof FormatError) throw mismatch(entry);
      const again = error instanceof BackupError && error.code === 'ERR_S3_PREFLIGHT_NETWORK' && at < entry.size;
      if (!again || read >= READS_OF_ONE_OBJECT) throw error;
    }
  }
}

async function open(objects: Objects, entry: Entry, at: number): Promise<AsyncIterable<Buffer> | null> {
  const { store, prefix, cipher, signal } = objects;
  if (entry.offset !== undefined) return await archivesOf(objects).stream(entry, at);
  const range = at === 0 ? undefined : { first: at, last: entry.size - 1 };
  return await streamFile(store, prefix + entry.key, cipher ?? null, range, signal);
}

/** A small file out of an archive. */
async function readMember(objects: Objects, entry: Entry): Promise<Buffer | Gap> {
  try {
    const content = await archivesOf(objects).stream(entry);
    if (content === null) return 'missing';
    const pieces: Buffer[] = [];
    for await (const piece of content) pieces.push(piece);
    const body = Buffer.concat(pieces);
    return body.length === entry.size && (entry.hash === null || entry.hash === md5Of(body)) ? body : 'damaged';
  } catch (error) {
    if (error instanceof FormatError) return 'damaged';
    throw error;
  }
}

function archivesOf({ archives }: Objects): ArchiveReader {
  if (archives === undefined) throw new BackupError('ERR_INTERNAL', 'Nothing was given to read archives by.');
  return archives;
}

function mismatch(entry: Entry): BackupError {
  return new BackupError('ERR_RESTORE_MISMATCH', undefined, { details: { path: entry.path } });
}

function openedOrNull(body: Buffer, cipher: JobCipher | null): Buffer | null {
  try {
    return cipher === null ? body : cipher.open(body);
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

function md5Of(body: Buffer): string {
  return `md5:${createHash('md5').update(body).digest('hex')}`;
}
