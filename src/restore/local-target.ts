import { createHash } from 'node:crypto';
import { constants, type BigIntStats } from 'node:fs';
import { lstat, mkdir, open, readdir, realpath, utimes, type FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { BackupError } from '../errors/backup-error.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import { localNameOfPath } from '../layout/encoding.ts';
import type { Entry } from '../layout/types.ts';
import type { JobBucket } from '../backup/job-bucket.ts';
import { inOrder } from './in-order.ts';
import { objectTime } from './object-time.ts';
import type { BulkCopier, BulkCopy, Inspection, RestoreTarget } from './port.ts';

const READS_AT_ONCE = 8;
const SLASH = Buffer.from('/');

/**
 * A folder of this machine, new or empty. File names are those that rclone gives on Linux. Nothing is ever written through a symbolic
 * link or outside of the folder: names cannot hold `..` (`localNameOfPath`), files are made anew, and folders are looked at.
 */
export class LocalTarget implements RestoreTarget {
  readonly #bucket: JobBucket;
  readonly #bulk: BulkCopier;
  readonly #given: string;
  #root: Buffer = Buffer.alloc(0);

  constructor(options: { folder: string; bucket: JobBucket; bulk: BulkCopier }) {
    this.#given = options.folder;
    this.#bucket = options.bucket;
    this.#bulk = options.bulk;
  }

  async prepare(): Promise<void> {
    try {
      await mkdir(this.#given, { recursive: true, mode: 0o700 });
      if ((await readdir(this.#given)).length > 0) throw new BackupError('ERR_RESTORE_TARGET');
      this.#root = await realpath(this.#given, { encoding: 'buffer' });
    } catch (cause) {
      throw cause instanceof BackupError ? cause : new BackupError('ERR_RESTORE_TARGET', undefined, { cause });
    }
  }

  async copyMany(request: BulkCopy): Promise<ReadonlyMap<string, ErrorCode>> {
    if (request.toPath !== '') await mkdir(this.#at(request.toPath), { recursive: true, mode: 0o700 });
    return await this.#bulk.copy(request);
  }

  async copyOne(entry: Entry, signal: AbortSignal): Promise<ErrorCode | null> {
    const key = this.#bucket.prefix + entry.key;
    const [body, head] = await Promise.all([
      this.#bucket.store.stream(key, { signal }),
      this.#bucket.store.head(key, { signal }),
    ]);
    if (body === null) return 'ERR_OBJECT_MISSING';
    const path = this.#at(entry.path);
    try {
      await this.#makeFolders(entry.path);
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
      const file = await open(path, flags, 0o600);
      await pipeline(body, file.createWriteStream());
      const time = objectTime(head?.metadata ?? {}) ?? Date.parse(entry.mtime);
      await utimes(path, time / 1_000, time / 1_000);
      return null;
    } catch (error) {
      body.destroy();
      return fileErrorCode(error);
    }
  }

  async *inspect(
    entries: AsyncIterable<Entry>,
    signal: AbortSignal,
  ): AsyncGenerator<{ entry: Entry; found: Inspection }> {
    yield* inOrder(entries, READS_AT_ONCE, async (entry) => {
      signal.throwIfAborted();
      return { entry, found: await this.#inspectOne(entry) };
    });
  }

  async #inspectOne(entry: Entry): Promise<Inspection> {
    let file: FileHandle;
    try {
      if (!(await this.#hasPlainFolders(entry.path))) return 'missing';
      file = await open(this.#at(entry.path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return 'missing';
      if (code === 'ELOOP' || code === 'EISDIR' || code === 'ENXIO') return 'differs';
      throw error;
    }
    try {
      const stats: BigIntStats = await file.stat({ bigint: true });
      if (!stats.isFile() || stats.size !== BigInt(entry.size)) return 'differs';
      if (entry.hash === null) return 'size_only';
      return `md5:${await md5Of(file)}` === entry.hash ? 'exact' : 'differs';
    } finally {
      await file.close();
    }
  }

  /** Makes the folders of a path one by one; a link in their place is not followed. */
  async #makeFolders(path: string): Promise<void> {
    for (const folder of foldersOf(path)) {
      await mkdir(this.#at(folder), { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
    }
    if (!(await this.#hasPlainFolders(path))) throw Object.assign(new Error('not a folder'), { code: 'ENOTDIR' });
  }

  async #hasPlainFolders(path: string): Promise<boolean> {
    for (const folder of foldersOf(path)) if (!(await lstat(this.#at(folder))).isDirectory()) return false;
    return true;
  }

  #at(path: string): Buffer {
    return Buffer.concat([this.#root, SLASH, localNameOfPath(path)]);
  }
}

/** `a/b/c` → `a`, `a/b` */
function foldersOf(path: string): string[] {
  const segments = path.split('/').slice(0, -1);
  return segments.map((_, i) => segments.slice(0, i + 1).join('/'));
}

async function md5Of(file: FileHandle): Promise<string> {
  const hash = createHash('md5');
  for await (const block of file.createReadStream({ autoClose: false, highWaterMark: 256 * 1024 })) {
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
