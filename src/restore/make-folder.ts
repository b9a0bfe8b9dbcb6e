import { mkdir, mkdtemp, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BackupError } from '../errors/backup-error.ts';

/** A network file system that has gone away answers never. */
const PATIENCE_MS = 15_000;

/**
 * Makes a folder with all above it, and holds it to being writable. Node's own way of making several folders at once never returns below
 * special file systems such as /proc, where a folder that exists says it is missing; here each is tried once more and no further.
 * @throws BackupError `ERR_RESTORE_TARGET`, in bounded time
 */
export async function makeWritableFolder(path: string): Promise<void> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), PATIENCE_MS);
  try {
    const silent = new Promise<never>((_, reject) => {
      late.signal.addEventListener('abort', () => reject(new Error('the file system does not answer')), { once: true });
    });
    await Promise.race([make(path), silent]);
  } catch (cause) {
    throw new BackupError('ERR_RESTORE_TARGET', `The folder ${path} cannot be made or written. Choose another one.`, {
      cause,
    });
  } finally {
    clearTimeout(timer);
  }
}

async function make(path: string): Promise<void> {
  await makeWithParents(path);
  await rmdir(await mkdtemp(join(path, '.e3-writable-')));
}

async function makeWithParents(path: string): Promise<void> {
  try {
    await makeOne(path);
  } catch (error) {
    const parent = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === path) throw error;
    await makeWithParents(parent);
    await makeOne(path);
  }
}

async function makeOne(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}
