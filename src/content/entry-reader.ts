import { ArchiveReader } from '../archive/archive-reader.ts';
import type { JobCipher } from '../crypt/job-cipher.ts';
import { streamFile } from '../crypt/sealed-object.ts';
import type { Entry } from '../layout/types.ts';
import type { ObjectStore } from '../storage/port.ts';

export interface EntryReaderOptions {
  readonly store: ObjectStore;
  /** Of the job. */
  readonly prefix: string;
  /** Null or absent: the job is not encrypted. */
  readonly cipher?: JobCipher | null;
  readonly signal: AbortSignal;
}

/** Reads what entries stand for, wherever it lies: in an object of its own or in an archive, encrypted or not. */
export class EntryReader {
  readonly #options: EntryReaderOptions;
  readonly #archives: ArchiveReader;

  constructor(options: EntryReaderOptions) {
    this.#options = options;
    this.#archives = new ArchiveReader({ ...options, cipher: options.cipher ?? null });
  }

  /**
   * The content from byte `first` on; null: there is no such object. It may be longer than the entry says, where an object is another one by now.
   * @throws FormatError, also while it is read: it is not what was written; what the storage says
   */
  async stream(entry: Entry, first = 0): Promise<AsyncIterable<Buffer> | null> {
    if (entry.offset !== undefined) return await this.#archives.stream(entry, first);
    const { store, prefix, cipher, signal } = this.#options;
    const range = first === 0 ? undefined : { first, last: entry.size - 1 };
    return await streamFile(store, prefix + entry.key, cipher ?? null, range, signal);
  }
}
