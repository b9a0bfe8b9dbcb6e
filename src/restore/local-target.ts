import { createHash } from 'node:crypto';
import { constants, type BigIntStats } from 'node:fs';
import { lstat, mkdir, open, readdir, realpath, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupError } from '../errors/backup-error.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import { localNameOfPath } from '../layout/encoding.ts';
import type { Entry } from '../layout/types.ts';
import { inOrder } from './in-order.ts';
import { makeWritableFolder } from './make-folder.ts';
import type {
  BulkCopier,
  BulkCopy,
  Existing,
  LookOptions,
  Overwrite,
  RestoreTarget,
  SingleCopies,
  SingleCopy,
} from './port.ts';
import { hasLongName } from './server-target.ts';

const READS_AT_ONCE = 8;
const READ_AT_ONCE_BYTES = 256 * 1024;
const SLASH = Buffer.from('/');

export interface LocalTargetOptions {
  readonly folder: string;
  readonly bulk: BulkCopier;
  /** What becomes of files that lie there. Null: the folder must be empty or not exist yet. */
  readonly overwrite?: Overwrite | null;
}

/** Lies in the folder while a restore writes to it: files that were being written when it was killed may be cut off. */
const UNFINISHED = '.e3-restore-unfinished';

/**
 * A folder of this machine. File names are those that rclone gives on Linux. Nothing is ever written through a symbolic link or outside
 * of the folder: names cannot hold `..` (`localNameOfPath`), and the folders of every file are looked at.
 */
export class LocalTarget implements RestoreTarget {
  readonly mayIgnoreCase = true;
  isEmpty = false;
  readonly #options: LocalTargetOptions;
  #root: Buffer = Buffer.alloc(0);
  #marked = false;
  /** Folders that are known to be there, and to be no links. */
  #folders = new Set<string>();

  constructor(options: LocalTargetOptions) {
    this.#options = options;
  }

  async prepare({ dryRun }: { dryRun: boolean }): Promise<void> {
    const { folder, overwrite = null } = this.#options;
    if (!dryRun) await makeWritableFolder(folder);
    try {
      const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
        if (dryRun && error.code === 'ENOENT') return null;
        throw error;
      });
      this.isEmpty = names === null || names.length === 0;
      if (!this.isEmpty && overwrite === null) throw new BackupError('ERR_RESTORE_TARGET');
      if (names?.includes(UNFINISHED) === true && overwrite !== 'always') throw unfinished(folder);
      this.#root = names === null ? Buffer.from(folder) : await realpath(folder, { encoding: 'buffer' });
      if (dryRun) return;
      await writeFile(join(folder, UNFINISHED), '');
      this.#marked = true;
    } catch (cause) {
      throw cause instanceof BackupError ? cause : new BackupError('ERR_RESTORE_TARGET', undefined, { cause });
    }
  }

  refusal(path: string): ErrorCode | null {
    return hasLongName(localNameOfPath(path)) ? 'ERR_KEY_TOO_LONG' : null;
  }

  async copyMany(request: BulkCopy): Promise<ReadonlyMap<string, ErrorCode>> {
    if (request.toPath !== '') await mkdir(this.#at(request.toPath), { recursive: true, mode: 0o700 });
    return await this.#options.bulk.copy(request);
  }

  /** The folders are made here, one by one, so that none of them can be a link that somebody puts in the way. */
  async copySome(request: SingleCopies): Promise<ReadonlyMap<string, ErrorCode>> {
    const refused = new Map<string, ErrorCode>();
    const failed = await this.#options.bulk.copySome({ ...request, items: this.#withFolders(request.items, refused) });
    return new Map([...failed, ...refused]);
  }

  async close(done: boolean): Promise<void> {
    await this.#options.bulk.close();
    if (done && this.#marked) await rm(join(this.#options.folder, UNFINISHED), { force: true });
  }

  async *look(
    entries: AsyncIterable<Entry>,
    { signal, hashes }: LookOptions,
  ): AsyncGenerator<{ entry: Entry; existing: Existing | null }> {
    const untouched = this.isEmpty && this.#folders.size === 0 && !hashes;
    yield* inOrder(entries, READS_AT_ONCE, async (entry) => {
      signal.throwIfAborted();
      return { entry, existing: untouched ? null : await this.#lookAt(entry, hashes) };
    });
  }

  async #lookAt(entry: Entry, withHash: boolean): Promise<Existing | null> {
    const blocked = { size: -1, hash: null, modified: null, blocked: true } as const;
    const nothing = { size: -1, hash: null, modified: null } as const;
    let file: FileHandle;
    try {
      if (!(await this.#hasPlainFolders(entry.path))) return blocked;
      const stats = await lstat(this.#at(entry.path), { bigint: true });
      if (!stats.isFile()) return nothing;
      if (!withHash || entry.hash === null || stats.size !== BigInt(entry.size)) return existingOf(stats, null);
      file = await open(this.#at(entry.path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT' || code === 'ENAMETOOLONG') return null;
      if (code === 'ENOTDIR') return blocked;
      if (code === 'ELOOP' || code === 'EISDIR' || code === 'ENXIO') return nothing;
      throw error;
    }
    try {
      return existingOf(await file.stat({ bigint: true }), `md5:${await md5Of(file, entry.size)}`);
    } finally {
      await file.close();
    }
  }

  async *#withFolders(items: AsyncIterable<SingleCopy>, refused: Map<string, ErrorCode>): AsyncGenerator<SingleCopy> {
    for await (const item of items) {
      const code = await this.#makeFolders(item.toPath);
      if (code === null) yield item;
      else refused.set(item.toPath, code);
    }
  }

  async #makeFolders(path: string): Promise<ErrorCode | null> {
    try {
      for (const folder of foldersOf(path)) {
        if (this.#folders.has(folder)) continue;
        await mkdir(this.#at(folder), { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'EEXIST') throw error;
        });
        if (!(await lstat(this.#at(folder))).isDirectory()) return 'ERR_RESTORE_TARGET';
        this.#folders.add(folder);
      }
      return null;
    } catch (error) {
      return fileErrorCode(error);
    }
  }

  async #hasPlainFolders(path: string): Promise<boolean> {
    for (const folder of foldersOf(path)) {
      if (this.#folders.has(folder)) continue;
      if (!(await lstat(this.#at(folder))).isDirectory()) return false;
      this.#folders.add(folder);
    }
    return true;
  }

  #at(path: string): Buffer {
    return Buffer.concat([this.#root, SLASH, localNameOfPath(path)]);
  }
}

function unfinished(folder: string): BackupError {
  return new BackupError(
    'ERR_RESTORE_TARGET',
    `An earlier restore into ${folder} did not come to its end, so files there may be cut off. Restore with --overwrite always, or into another folder.`,
  );
}

function existingOf(stats: BigIntStats, hash: string | null): Existing {
  return { size: Number(stats.size), hash, modified: Number(stats.mtimeMs) };
}

/** `a/b/c` → `a`, `a/b` */
function foldersOf(path: string): string[] {
  const segments = path.split('/').slice(0, -1);
  return segments.map((_, i) => segments.slice(0, i + 1).join('/'));
}

async function md5Of(file: FileHandle, bytes: number): Promise<string> {
  const hash = createHash('md5');
  if (bytes <= READ_AT_ONCE_BYTES) {
    const whole = Buffer.allocUnsafe(bytes);
    const { bytesRead } = await file.read(whole, 0, bytes, 0);
    // Most files end here, without the cost of a stream.
    if (bytesRead === bytes) return hash.update(whole).digest('hex');
  }
  for await (const block of file.createReadStream({ autoClose: false, start: 0, highWaterMark: 256 * 1024 })) {
    hash.update(block as Buffer);
  }
  return hash.digest('hex');
}

/** What concerns one name is that file's problem; what concerns the disk ends the restore. */
function fileErrorCode(error: unknown): ErrorCode {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOSPC' || code === 'EDQUOT') throw new BackupError('ERR_DISK_FULL', undefined, { cause: error });
  if (['ENAMETOOLONG', 'ENOTDIR', 'EISDIR', 'EEXIST', 'ELOOP', 'EILSEQ', 'EINVAL'].includes(code ?? '')) {
    return 'ERR_RESTORE_TARGET';
  }
  throw error;
}
