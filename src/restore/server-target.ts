import type { ErrorCode } from '../errors/catalogue.ts';
import { nativeNameOfPath } from '../layout/encoding.ts';
import type { Entry } from '../layout/types.ts';
import type { SourceFile } from '../engines/port.ts';
import type { BulkCopier, BulkCopy, Existing, LookOptions, RestoreTarget, SingleCopies } from './port.ts';

/** Files of one question: each opens a session, and keeps what it learns in memory. */
const LOOKED_AT_ONCE = 4_000;
/** Bytes of one name that file systems take. */
const LONGEST_NAME = 255;

/** What the server says of these files; missing ones are absent. Each must be asked for by its name. */
export type LookAtFiles = (paths: readonly string[], signal: AbortSignal) => Promise<ReadonlyMap<string, SourceFile>>;

/**
 * The file server that a job backs up (SFTP, SMB, WebDAV, FTP), at the source's own path. Every file is asked for by name, not looked for
 * in a listing: only so a server that takes `A` and `a` for the same says so. Such servers tell no checksums, so files are compared by
 * size.
 */
export class ServerTarget implements RestoreTarget {
  readonly mayIgnoreCase = true;
  readonly isEmpty = false;
  readonly #look: LookAtFiles;
  readonly #bulk: BulkCopier;

  constructor(options: { look: LookAtFiles; bulk: BulkCopier }) {
    this.#look = options.look;
    this.#bulk = options.bulk;
  }

  async prepare(): Promise<void> {
    // Whoever may not sign in learns it with the first look, before anything is written.
  }

  refusal(path: string): ErrorCode | null {
    return hasLongName(nativeNameOfPath(path)) ? 'ERR_KEY_TOO_LONG' : null;
  }

  async *look(
    entries: AsyncIterable<Entry>,
    { signal }: LookOptions,
  ): AsyncGenerator<{ entry: Entry; existing: Existing | null }> {
    let waiting: Entry[] = [];
    for await (const entry of entries) {
      waiting.push(entry);
      if (waiting.length < LOOKED_AT_ONCE) continue;
      yield* this.#lookAt(waiting, signal);
      waiting = [];
    }
    yield* this.#lookAt(waiting, signal);
  }

  async *#lookAt(
    entries: readonly Entry[],
    signal: AbortSignal,
  ): AsyncGenerator<{ entry: Entry; existing: Existing | null }> {
    if (entries.length === 0) return;
    const paths = entries.map(({ path }) => path);
    const found = await this.#look(paths, signal);
    for (const entry of entries) {
      const file = found.get(entry.path);
      const existing = file && { size: file.size, hash: null, modified: Date.parse(file.mtime) };
      yield { entry, existing: existing ?? null };
    }
  }

  async copyMany(request: BulkCopy): Promise<ReadonlyMap<string, ErrorCode>> {
    return await this.#bulk.copy(request);
  }

  async copySome(request: SingleCopies): Promise<ReadonlyMap<string, ErrorCode>> {
    return await this.#bulk.copySome(request);
  }

  async close(): Promise<void> {
    await this.#bulk.close();
  }
}

/** Whether a part of a path is longer than any usual file system takes. */
export function hasLongName(path: Buffer): boolean {
  for (let start = 0; start < path.length;) {
    const end = path.indexOf(0x2f, start);
    const length = (end === -1 ? path.length : end) - start;
    if (length > LONGEST_NAME) return true;
    start += length + 1;
  }
  return false;
}
