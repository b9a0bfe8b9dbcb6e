import { appendFile, open } from 'node:fs/promises';
import { BackupError } from '../errors/backup-error.ts';

const BLOCK_BYTES = 256 * 1024;

/** How an item becomes a line without line breaks, and back. */
export interface LineFormat<T> {
  readonly write: (item: T) => string;
  readonly read: (line: string) => T;
}

/** JSON; it escapes line breaks. */
export function jsonLines<T>(): LineFormat<T> {
  return { write: (item) => JSON.stringify(item), read: (line) => JSON.parse(line) as T };
}

/**
 * Items in a file of the run's own private folder, in the order in which they were added: what does not fit into memory.
 * A full disk is ERR_DISK_FULL.
 */
export class LineFile<T> {
  readonly #path: string;
  readonly #format: LineFormat<T>;

  constructor(path: string, format: LineFormat<T>) {
    this.#path = path;
    this.#format = format;
  }

  async append(items: readonly T[]): Promise<void> {
    try {
      let text = '';
      for (const item of items) {
        text += `${this.#format.write(item)}\n`;
        if (text.length < BLOCK_BYTES) continue;
        await appendFile(this.#path, text, { mode: 0o600 });
        text = '';
      }
      await appendFile(this.#path, text, { mode: 0o600 });
    } catch (error) {
      throw diskError(error);
    }
  }

  /** All items in batches; may be called again and again, also side by side. */
  async *batches(): AsyncGenerator<T[]> {
    const file = await open(this.#path, 'r');
    try {
      let rest = '';
      for await (const block of file.createReadStream({
        encoding: 'utf8',
        highWaterMark: BLOCK_BYTES,
        autoClose: false,
      })) {
        const lines = (rest + String(block)).split('\n');
        rest = lines.pop() ?? '';
        if (lines.length > 0) yield lines.map(this.#format.read);
      }
    } finally {
      await file.close();
    }
  }
}

function diskError(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOSPC' || code === 'EDQUOT' ? new BackupError('ERR_DISK_FULL', undefined, { cause: error }) : error;
}
