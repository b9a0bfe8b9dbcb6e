import { isUtf8 } from 'node:buffer';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import { isPath, nativeNameOfPath, pathOfNativeName } from '../layout/encoding.ts';
import type { ListingOutcome, SourceFile, SourceListing } from '../engines/port.ts';
import type { ObjectStore, StoredObject } from '../storage/port.ts';
import { openS3Store } from '../storage/s3.ts';
import { endlessListing, MOST_ENTRIES } from './endless.ts';
import { EtagJudge } from './etag-judge.ts';
import type { S3Origin } from './source-type.ts';

const LOOKS_AT_ONCE = 24;
/** Keys of one answer to a listing. */
const PAGE = 1_000;

/**
 * Lists a whole S3 source by the same client that reads destinations: one request a thousand objects. rclone's own listing asks for the
 * MD5 of each object that came by a multipart upload with a request of its own, one after the other; here such objects have no hash.
 *
 * Folder markers (empty objects whose key ends in a slash) are left out: folders are not kept. Keys with empty parts (`a//b`, `/a`)
 * can be no paths; they are named in the outcome.
 */
export function listS3(
  origin: S3Origin,
  options: { signal: AbortSignal; etags?: EtagJudge; mostEntries?: number },
): SourceListing {
  const { signal, etags = new EtagJudge(), mostEntries = MOST_ENTRIES } = options;
  const skipped: ListingOutcome['skipped'][number][] = [];
  let settle: (outcome: ListingOutcome) => void = () => {};
  let fail: (error: unknown) => void = () => {};
  const outcome = new Promise<ListingOutcome>((resolve, reject) => {
    settle = resolve;
    fail = reject;
  });
  outcome.catch(() => undefined);
  async function* files(): AsyncGenerator<SourceFile> {
    try {
      const store = openS3Store(origin.access);
      let entries = 0;
      for await (const object of judged(store, store.list(origin.prefix, { signal }), { etags, signal })) {
        entries += 1;
        if (entries > mostEntries) throw endlessListing();
        const name = object.key.slice(origin.prefix.length);
        if (name === '' || (name.endsWith('/') && object.size === 0)) continue;
        const path = pathOfSourceKey(name);
        if (isPath(path)) yield sourceFile(path, object, etags.areMd5);
        else skipped.push({ path, reason: 'bad_name' });
      }
      settle({ complete: true, unreadable: [], skipped });
    } catch (error) {
      const told = signal.aborted ? signal.reason : sourceError(error);
      fail(told);
      throw told;
    }
  }
  return { files: files(), outcome };
}

/** Holds the first page back until it is known what ETags are worth. */
async function* judged(
  store: ObjectStore,
  objects: AsyncIterable<StoredObject>,
  { etags, signal }: { etags: EtagJudge; signal: AbortSignal },
): AsyncGenerator<StoredObject> {
  let first: StoredObject[] | null = [];
  for await (const object of objects) {
    if (first === null) {
      yield object;
    } else if (first.push(object) === PAGE) {
      await etags.look(store, first, signal);
      yield* first;
      first = null;
    }
  }
  if (first === null) return;
  await etags.look(store, first, signal);
  yield* first;
}

/**
 * What an S3 source says of these files now, in the very form of its listing. Where they lie close together whole pages are read,
 * otherwise one is asked for at a time.
 * @param total how many objects the source holds, as far as it is known
 */
export async function lookS3(
  origin: S3Origin,
  paths: readonly string[],
  options: { signal: AbortSignal; total: number | null; etags?: EtagJudge },
): Promise<Map<string, SourceFile>> {
  const { signal, etags = new EtagJudge() } = options;
  const store = openS3Store(origin.access);
  const look = new S3Look(store, origin.prefix, signal);
  const byKey = new Map(paths.map((path) => [origin.prefix + keyOfSourcePath(path), path]));
  const dense = options.total !== null && (byKey.size / options.total) * PAGE >= 4;
  try {
    if (dense) await look.byPages(byKey);
    // A store that does not list in the order of bytes leaves some unseen; asked for by name they are found, or missing indeed.
    await look.singly(byKey);
    await etags.look(store, [...look.found.values()], signal);
    return new Map([...look.found].map(([path, object]) => [path, sourceFile(path, object, etags.areMd5)]));
  } catch (error) {
    throw signal.aborted ? signal.reason : sourceError(error);
  }
}

class S3Look {
  readonly found = new Map<string, StoredObject>();
  readonly #store: ObjectStore;
  readonly #prefix: string;
  readonly #signal: AbortSignal;

  constructor(store: ObjectStore, prefix: string, signal: AbortSignal) {
    this.#store = store;
    this.#prefix = prefix;
    this.#signal = signal;
  }

  /** Reads the listing from the first wanted key to the last one, in several stretches at once. */
  async byPages(wanted: ReadonlyMap<string, string>): Promise<void> {
    const keys = [...wanted.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const length = Math.max(PAGE, Math.ceil(keys.length / LOOKS_AT_ONCE));
    const stretches: string[][] = [];
    for (let start = 0; start < keys.length; start += length) stretches.push(keys.slice(start, start + length));
    await inParallel(stretches, async (stretch) => {
      const last = Buffer.from(stretch.at(-1) ?? '');
      const first = stretch[0] ?? '';
      // The listing begins after a key: after the beginning of the first one, which is smaller than it.
      const startAfter = [...first].slice(0, -1).join('');
      for await (const object of this.#store.list(this.#prefix, { signal: this.#signal, startAfter })) {
        this.#take(object, wanted);
        if (Buffer.compare(Buffer.from(object.key), last) >= 0) return;
      }
    });
  }

  async singly(wanted: ReadonlyMap<string, string>): Promise<void> {
    const missing = [...wanted].filter(([, path]) => !this.found.has(path));
    await inParallel(missing, async ([key, path]) => {
      // What is no text cannot be asked for; what precedes it can.
      const prefix = key.isWellFormed() ? key : key.slice(0, key.search(STRAY_BYTE));
      for await (const object of this.#store.list(prefix, { signal: this.#signal })) {
        this.#take(object, wanted);
        // Of all keys that begin so, the shortest comes first.
        if (prefix === key || this.found.has(path)) return;
      }
    });
  }

  #take(object: StoredObject, wanted: ReadonlyMap<string, string>): void {
    const path = wanted.get(object.key);
    if (path !== undefined) this.found.set(path, object);
  }
}

/** As the storage client writes bytes that are not UTF-8. */
const STRAY_BYTE = /[\udc80-\udcff]/;
const STRAY_BYTES = /([\udc80-\udcff])/;

/** The path for an object's key (relative to the source's root); a key with empty parts makes no path: see `isPath`. */
export function pathOfSourceKey(key: string): string {
  return pathOfNativeName(nameOfKey(key));
}

/** The key of a file, relative to the source's root. */
export function keyOfSourcePath(path: string): string {
  return keyOfName(nativeNameOfPath(path));
}

function nameOfKey(key: string): string | Buffer {
  if (key.isWellFormed()) return key;
  const parts = key.split(STRAY_BYTES);
  return Buffer.concat(
    parts.map((part, i) => (i % 2 === 0 ? Buffer.from(part) : Buffer.of(part.charCodeAt(0) - 0xdc00))),
  );
}

function keyOfName(name: Buffer): string {
  if (isUtf8(name)) return name.toString('utf8');
  let key = '';
  for (let at = 0; at < name.length;) {
    const length = [1, 2, 3, 4].find((bytes) => isUtf8(name.subarray(at, at + bytes)) && at + bytes <= name.length);
    key +=
      length === undefined ? String.fromCharCode(0xdc00 + (name[at] ?? 0)) : name.toString('utf8', at, at + length);
    at += length ?? 1;
  }
  return key;
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  const next = async (): Promise<void> => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(LOOKS_AT_ONCE, items.length) }, next));
}

function sourceFile(path: string, { size, md5, lastModified }: StoredObject, isMd5: boolean): SourceFile {
  const mtime = Number.isNaN(lastModified) ? '1970-01-01T00:00:00Z' : shortTime(lastModified);
  return { path, size, mtime, hash: md5 === null || !isMd5 ? null : `md5:${md5}` };
}

/** Milliseconds only where there are some: `2026-01-31T02:00:00Z`, `2026-01-31T02:00:00.5Z`. */
function shortTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/\.?0+Z$/, 'Z');
}

const CODES: Partial<Record<ErrorCode, ErrorCode>> = {
  ERR_DEST_AUTH: 'ERR_S3_AUTH',
  ERR_DEST_BUCKET_NOT_FOUND: 'ERR_S3_BUCKET_NOT_FOUND',
  ERR_DEST_REFUSED: 'ERR_SOURCE_LISTING',
};

/** The storage client speaks of destinations; here the same failure is one of the source. */
export function sourceError(error: unknown): unknown {
  if (!isBackupError(error)) return error;
  const { reason } = error.details;
  const code = error.code === 'ERR_S3_PREFLIGHT_NETWORK' ? networkCode(reason) : deniedCode(error.code, reason);
  return new BackupError(code, undefined, { cause: error, details: error.details });
}

function deniedCode(code: ErrorCode, reason: unknown): ErrorCode {
  if (code === 'ERR_DEST_AUTH' && reason === 'AccessDenied') return 'ERR_PERMISSION';
  // The bucket lies in another region than the settings say.
  if (reason === 'PermanentRedirect' || reason === 'AuthorizationHeaderMalformed') return 'ERR_S3_BUCKET_NOT_FOUND';
  return CODES[code] ?? code;
}

function networkCode(reason: unknown): ErrorCode {
  if (reason === 'HOST_NOT_ALLOWED') return 'HOST_NOT_ALLOWED';
  if (reason === 'ENOTFOUND' || reason === 'EAI_AGAIN') return 'ERR_HOST_UNKNOWN';
  return reason === 'ECONNREFUSED' ? 'ERR_CONNECTION_REFUSED' : 'ERR_NETWORK';
}
