import { setTimeout as delay } from 'node:timers/promises';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { isPath, nativeNameOfPath, pathOfNativeName } from '../layout/encoding.ts';
import type { ListingOutcome, SourceFile, SourceListing } from '../engines/port.ts';
import { DEEPEST_FOLDER, endlessListing, MOST_ENTRIES } from './endless.ts';
import { SftpRefusal, SftpSession, type SessionOptions } from './sftp-session.ts';
import type { Attributes, NamedAttributes } from './sftp-protocol.ts';
import { Reading, type Folder } from './sftp-reading.ts';
import type { SftpOrigin } from './source-type.ts';

interface Found {
  readonly files: SourceFile[];
  readonly folders: Folder[];
  readonly skipped: Skipped[];
  /** Links of which the server does not say what they lead to. */
  readonly unreadable: string[];
}

export interface SftpListing extends SourceListing {
  /** Links that led out of the source, so far: who walks the source without following links does not find what is behind them. */
  followedLinks(): number;
}

type Skipped = ListingOutcome['skipped'][number];

const FOLDERS_AT_ONCE = 16;
const LOOKS_AT_ONCE = 64;
/** Entries of one folder that wait in memory until all of it was read. */
const FOLDER_IN_MEMORY = 20_000;
const RECONNECTS = 3;
const RECONNECT_PAUSE_MS = 1_000;
/** Links out of links out of links: whoever needs more has built a maze. */
const LINKS_IN_LINKS = 8;

/**
 * Lists a whole SFTP source over one connection. What rclone would list cannot be used: it follows links in circles, and takes pipes
 * and sockets for files, whose reading blocks a server for ever. Here
 * - a link that leads into the source is left out (what it leads to is backed up under its own name); one that leads out of it is
 *   followed, unless it leads back to where it lies; one that leads nowhere is left out; one that nobody may look behind is named as a
 *   folder that cannot be read: what lay there may still be there;
 * - pipes, sockets and devices are left out; empty folders are not kept;
 * - a folder that cannot be read is named; the rest is listed.
 *
 * Times are whole seconds: more is not in the protocol. There are no hashes: to get them, the server would read every file.
 */
export function listSftp(origin: SftpOrigin, options: SessionOptions & { mostEntries?: number }): SftpListing {
  const walk = new SftpWalk(new Reconnecting(origin, options), origin, options.mostEntries ?? MOST_ENTRIES);
  return { files: walk.files(), outcome: walk.outcome, followedLinks: () => walk.followed };
}

/**
 * What an SFTP source says of these files now; links are followed, what is no file any more is absent.
 * @param options `certain`: somebody writes over what is not there: BackupError `ERR_SOURCE_LISTING` where the server does not say whether
 *   there is one, instead of a file that is absent
 */
export async function lookSftp(
  origin: SftpOrigin,
  paths: readonly string[],
  options: SessionOptions & { readonly certain?: boolean },
): Promise<Map<string, SourceFile>> {
  const connection = new Reconnecting(origin, options);
  const known = options.certain === true ? orMissing : orNull;
  const found = new Map<string, SourceFile>();
  const waiting = paths.values();
  const lookAtSome = async (): Promise<void> => {
    for (const path of waiting) {
      const location = locationOf(origin, nativeNameOfPath(path));
      const attributes = await connection.use(async (session) => await known(session.stat(location)));
      if (attributes !== null && isFile(attributes)) found.set(path, sourceFile(path, attributes));
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(LOOKS_AT_ONCE, paths.length) }, lookAtSome));
    return found;
  } finally {
    await connection.close();
  }
}

/** A session that is opened when it is needed, and again when it was lost, a few times. */
class Reconnecting {
  readonly #origin: SftpOrigin;
  readonly #options: SessionOptions;
  #session: Promise<SftpSession> | null = null;
  #lost = 0;

  constructor(origin: SftpOrigin, options: SessionOptions) {
    this.#origin = origin;
    this.#options = options;
  }

  /** Runs `work`, from its start again when the connection is lost meanwhile (unless `once`). */
  async use<T>(work: (session: SftpSession) => Promise<T>, mayRepeat: () => boolean = () => true): Promise<T> {
    for (;;) {
      const opening = (this.#session ??= SftpSession.open(this.#origin, this.#options));
      try {
        return await work(await opening);
      } catch (error) {
        this.#options.signal.throwIfAborted();
        if (!isBackupError(error, 'ERR_NETWORK') || !mayRepeat()) throw error;
        // The first of those who lost it opens the next one; the others wait for that.
        if (this.#session === opening) {
          this.#lost += 1;
          if (this.#lost > RECONNECTS) throw error;
          this.#session = delay(RECONNECT_PAUSE_MS * this.#lost, undefined, { signal: this.#options.signal }).then(
            async () => await SftpSession.open(this.#origin, this.#options),
          );
          this.#session.catch(() => undefined);
        }
      }
    }
  }

  throwIfAborted(): void {
    this.#options.signal.throwIfAborted();
  }

  async close(): Promise<void> {
    const session = await this.#session?.catch(() => null);
    session?.close();
  }
}

class SftpWalk {
  readonly outcome: Promise<ListingOutcome>;
  followed = 0;
  readonly #connection: Reconnecting;
  readonly #origin: SftpOrigin;
  readonly #unreadable: string[] = [];
  readonly #skipped: Skipped[] = [];
  readonly #waiting: Folder[] = [];
  #root: Buffer = Buffer.alloc(0);
  #entriesLeft: number;
  #settle: (outcome: ListingOutcome) => void = () => {};
  #fail: (error: unknown) => void = () => {};

  constructor(connection: Reconnecting, origin: SftpOrigin, mostEntries: number) {
    this.#connection = connection;
    this.#origin = origin;
    this.#entriesLeft = mostEntries;
    this.outcome = new Promise((resolve, reject) => {
      this.#settle = resolve;
      this.#fail = reject;
    });
    this.outcome.catch(() => undefined);
  }

  async *files(): AsyncGenerator<SourceFile> {
    const reading = new Map<Reading, Promise<{ read: Reading; files: SourceFile[]; done: boolean }>>();
    try {
      await this.#findRoot();
      while (this.#waiting.length > 0 || reading.size > 0) {
        // The last one first: what waits is then about as much as the tree is deep and wide, not a whole level of it.
        for (let folder; reading.size < FOLDERS_AT_ONCE && (folder = this.#waiting.pop()) !== undefined;) {
          const read = new Reading(folder);
          reading.set(read, this.#readSome(read));
        }
        const { read, files, done } = await Promise.race(reading.values());
        if (done) reading.delete(read);
        else reading.set(read, this.#readSome(read));
        yield* files;
      }
      // Stopped while the last of it was handed out: what was read already must not pass for a listing that was wanted.
      this.#connection.throwIfAborted();
      const unreadable = this.#unreadable;
      this.#settle({ complete: unreadable.length === 0, unreadable, skipped: this.#skipped });
    } catch (error) {
      this.#fail(error);
      throw error;
    } finally {
      for (const pending of reading.values()) pending.catch(() => undefined);
      await this.#connection.close();
    }
  }

  async #findRoot(): Promise<void> {
    const location = locationOf(this.#origin, Buffer.alloc(0));
    try {
      const { kind, real } = await this.#connection.use(async (session) => ({
        kind: (await session.stat(location)).kind,
        real: await session.realPath(location),
      }));
      if (kind !== 'folder' && kind !== 'unknown')
        throw new BackupError('ERR_SOURCE_NOT_FOUND', 'The path of the source is a file, not a folder.');
      this.#root = real;
    } catch (error) {
      throw rootError(error);
    }
    this.#waiting.push({ name: Buffer.alloc(0), real: this.#root, links: 0 });
  }

  async #readSome(read: Reading): Promise<{ read: Reading; files: SourceFile[]; done: boolean }> {
    const { folder } = read;
    try {
      const { found, done } = await this.#connection.use(
        async (session) => await this.#readPortions(session, read),
        () => {
          read.beginAgain();
          return !read.handedOut;
        },
      );
      read.handedOut = true;
      this.#waiting.push(...found.folders);
      this.#skipped.push(...found.skipped);
      this.#unreadable.push(...found.unreadable);
      return { read, files: found.files, done };
    } catch (error) {
      if (!(error instanceof SftpRefusal)) throw error;
      if (folder.name.length === 0) throw rootError(error);
      // A folder that was removed meanwhile holds nothing.
      if (!error.isMissing) this.#unreadable.push(pathOfNativeName(folder.name));
      return { read, files: [], done: true };
    }
  }

  async #readPortions(session: SftpSession, read: Reading): Promise<{ found: Found; done: boolean }> {
    const portions = (read.portions ??= session.readFolder(locationOf(this.#origin, read.folder.name)));
    const found: Found = { files: [], folders: [], skipped: [], unreadable: [] };
    let entries = 0;
    while (entries < FOLDER_IN_MEMORY) {
      const next = await portions.next();
      if (next.done === true) return { found, done: true };
      entries += next.value.length;
      this.#entriesLeft -= next.value.length;
      if (this.#entriesLeft < 0 || read.isEndless(next.value)) throw endlessListing();
      await this.#sort(session, read.folder, next.value, found);
    }
    return { found, done: false };
  }

  async #sort(session: SftpSession, folder: Folder, entries: readonly NamedAttributes[], found: Found): Promise<void> {
    for (const entry of entries) {
      const name = below(folder.name, entry.name);
      const path = pathOfNativeName(name);
      if (entry.name.includes(SLASH) || !isPath(path)) found.skipped.push({ path, reason: 'bad_name' });
      else if (entry.kind === 'file' || entry.kind === 'unknown') found.files.push(sourceFile(path, entry));
      else if (entry.kind === 'special') found.skipped.push({ path, reason: 'special_file' });
      else if (entry.kind === 'folder') {
        if (depthOf(name) >= DEEPEST_FOLDER) throw endlessListing();
        found.folders.push({ name, real: below(folder.real, entry.name), links: folder.links });
      } else await this.#followLink(session, { name, path, from: folder }, found);
    }
  }

  async #followLink(
    session: SftpSession,
    link: { name: Buffer; path: string; from: Folder },
    found: Found,
  ): Promise<void> {
    const { name, path, from } = link;
    const location = locationOf(this.#origin, name);
    const target = await orRefused(session.stat(location));
    const real = target === null || target === 'refused' ? null : await orRefused(session.realPath(location));
    if (target === 'refused' || real === 'refused') return void found.unreadable.push(path);
    // A server that does not resolve links gives back what it was asked; such a link may lead anywhere.
    const unresolved =
      real !== null && real.equals(below(from.real, name.subarray(from.name.length > 0 ? from.name.length + 1 : 0)));
    if (target === null || real === null || isWithin(real, this.#root) || (unresolved && target.kind === 'folder'))
      found.skipped.push({ path, reason: 'symlink' });
    else if (target.kind === 'special') found.skipped.push({ path, reason: 'special_file' });
    else if (target.kind === 'folder' && (isWithin(from.real, real) || from.links >= LINKS_IN_LINKS))
      found.skipped.push({ path, reason: 'symlink_loop' });
    else {
      this.followed += 1;
      if (target.kind === 'folder') found.folders.push({ name, real, links: from.links + 1 });
      else found.files.push(sourceFile(path, target));
    }
  }
}

const SLASH = 0x2f;

function below(folder: Buffer, name: Buffer): Buffer {
  if (folder.length === 0) return name;
  return Buffer.concat(folder.at(-1) === SLASH ? [folder, name] : [folder, Buffer.of(SLASH), name]);
}

function depthOf(name: Buffer): number {
  let depth = 1;
  for (const byte of name) if (byte === SLASH) depth += 1;
  return depth;
}

/** Whether a resolved path is the folder or lies in it. */
function isWithin(path: Buffer, folder: Buffer): boolean {
  if (!path.subarray(0, folder.length).equals(folder)) return false;
  return path.length === folder.length || folder.at(-1) === SLASH || path[folder.length] === SLASH;
}

/** What the server is asked for: below the source's path, or below the user's home. */
function locationOf(origin: SftpOrigin, name: Buffer): Buffer {
  const root = Buffer.from(origin.path === '' ? '.' : origin.path, 'utf8');
  return name.length === 0 ? root : below(root, name);
}

function isFile({ kind }: Attributes): boolean {
  return kind === 'file' || kind === 'unknown';
}

function sourceFile(path: string, { size, mtime }: Attributes): SourceFile {
  const time = mtime === null ? '1970-01-01T00:00:00Z' : `${new Date(mtime * 1000).toISOString().slice(0, 19)}Z`;
  return { path, size, mtime: time, hash: null };
}

/** Null for what is missing. */
async function orRefused<T>(answer: Promise<T>): Promise<T | null | 'refused'> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof SftpRefusal) return error.isMissing ? null : 'refused';
    throw error;
  }
}

/** Null for what is missing, or what nobody may look at, and so nobody may write. */
async function orMissing<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof SftpRefusal)) throw error;
    if (error.isMissing || error.isPermission) return null;
    throw new BackupError('ERR_SOURCE_LISTING', undefined, { cause: error });
  }
}

/** Null for what the server refuses to tell: it is missing, or nobody may look at it. */
async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof SftpRefusal) return null;
    throw error;
  }
}

function rootError(error: unknown): unknown {
  if (!(error instanceof SftpRefusal)) return error;
  if (error.isMissing) return new BackupError('ERR_SOURCE_NOT_FOUND', undefined, { cause: error });
  if (error.isPermission) return new BackupError('ERR_PERMISSION', undefined, { cause: error });
  return new BackupError('ERR_SOURCE_LISTING', undefined, { cause: error });
}
