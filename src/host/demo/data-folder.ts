import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import knexFactory, { type Knex } from 'knex';
import { BackupError } from '../../errors/backup-error.ts';

/** The one folder in which everything of the demo lives, held by one process at a time. */
export interface DataFolder {
  /** Absolute. */
  readonly root: string;
  /** A path below the root; nothing is created. */
  path(...parts: string[]): string;
  /** The same, created as a folder for this user only. */
  folder(...parts: string[]): string;
  /** Writes a file for this user only, whole or not at all. */
  write(name: string, text: string): void;
  read(name: string): string | null;
  release(): Promise<void>;
}

const LOCK = 'lock.sqlite';
const HOLDER = 'instance.json';

/** What a first start writes: database, files of the sources, their backup, and room for logs. */
const SPACE_NEEDED = 200 * 1024 * 1024;

/**
 * Makes the folder if need be and takes its lock.
 * @throws BackupError ERR_DATA_DIR (cannot be written), ERR_DATA_DIR_LOCKED (another process uses it), ERR_DISK_FULL
 */
export async function openDataFolder(given: string, options: { spaceNeeded?: number } = {}): Promise<DataFolder> {
  const root = resolve(given);
  const path = (...parts: string[]): string => join(root, ...parts);
  try {
    makeFolder(root);
    writeFileSync(path('.writable'), '');
  } catch (cause) {
    throw asDataFolderError(root, cause);
  }
  requireSpace(root, options.spaceNeeded ?? SPACE_NEEDED);
  const lock = await takeLock(root, path(LOCK), path(HOLDER));
  const write = (name: string, text: string): void => {
    const temporary = path(`.${name}.new`);
    writeFileSync(temporary, text, { mode: 0o600 });
    renameSync(temporary, path(name));
  };
  write(HOLDER, JSON.stringify({ pid: process.pid }));
  return {
    root,
    path,
    folder(...parts) {
      mkdirSync(path(...parts), { recursive: true, mode: 0o700 });
      return path(...parts);
    },
    write,
    read: (name) => (existsSync(path(name)) ? readFileSync(path(name), 'utf8') : null),
    release: async () => await lock.destroy(),
  };
}

/** As `mkdir -p`. Node's own recursion never ends where a file system answers ENOENT for a folder whose parent exists, as /proc does. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    if (code !== 'ENOENT' || existsSync(dirname(path))) throw error;
    makeFolder(dirname(path));
    mkdirSync(path, { mode: 0o700 });
  }
}

/** Says that the disk is full before half a database is written. @throws BackupError ERR_DISK_FULL */
export function requireSpace(folder: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize >= bytes) return;
  const mib = (count: number): number => Math.floor(count / 1024 / 1024);
  throw new BackupError(
    'ERR_DISK_FULL',
    `There is too little space in ${folder}: ${mib(bavail * bsize)} MiB are free, ${mib(bytes)} MiB are needed. Free space there, or choose another folder with --data-dir.`,
  );
}

/**
 * An exclusive transaction on an empty SQLite file: the operating system lets go of it however the process ends, so there are no
 * stale locks and no guessing by process numbers.
 */
async function takeLock(root: string, file: string, holderFile: string): Promise<Knex> {
  const lock = knexFactory({
    client: 'better-sqlite3',
    connection: { filename: file },
    useNullAsDefault: true,
    pool: { min: 1, max: 1 },
  });
  try {
    await lock.raw('PRAGMA busy_timeout = 0');
    await lock.raw('PRAGMA locking_mode = EXCLUSIVE');
    await lock.raw('BEGIN EXCLUSIVE');
    chmodSync(file, 0o600);
    return lock;
  } catch (cause) {
    await lock.destroy();
    if (!String((cause as { code?: unknown }).code).startsWith('SQLITE_BUSY')) throw asDataFolderError(root, cause);
    const holder = holderOf(holderFile);
    throw new BackupError(
      'ERR_DATA_DIR_LOCKED',
      `${root} is in use by another start of this program${holder === null ? '' : ` (process ${holder})`}. Stop that one first, or choose another folder with --data-dir.`,
      { cause },
    );
  }
}

function holderOf(file: string): number | null {
  try {
    const { pid } = JSON.parse(readFileSync(file, 'utf8')) as { pid?: unknown };
    return typeof pid === 'number' ? pid : null;
  } catch {
    return null;
  }
}

/** Why something in the data folder cannot be written, as one sentence; anything else is returned as it is. */
export function asDataFolderError(root: string, cause: unknown): unknown {
  const code = String((cause as { code?: unknown } | null)?.code ?? '');
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'SQLITE_FULL') {
    return new BackupError('ERR_DISK_FULL', `The disk of ${root} is full. Free space there, then start again.`, {
      cause,
    });
  }
  if (
    ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ENOENT', 'SQLITE_READONLY', 'SQLITE_CANTOPEN'].includes(code)
  ) {
    return new BackupError(
      'ERR_DATA_DIR',
      `${root} cannot be written. Choose another folder with --data-dir, or give this user the right to write it.`,
      { cause },
    );
  }
  return cause;
}
