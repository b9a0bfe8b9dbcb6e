import { Readable } from 'node:stream';
import { pack, type Pack } from 'tar-stream';
import type ZipStream from 'zip-stream';

export interface ArchiveFile {
  /** With slashes, relative. */
  readonly name: string;
  /** Bytes, exactly. */
  readonly size: number;
  /** Epoch milliseconds. */
  readonly mtime: number;
  readonly content: Buffer | AsyncIterable<Buffer>;
}

/** An archive that is made while it is sent: what comes out is not kept, and nothing goes in before it is taken out. */
export interface ArchiveWriter {
  readonly output: AsyncIterable<Uint8Array>;
  /** Resolves when all of the file has been taken over; rejects with what its content threw. */
  add(file: ArchiveFile): Promise<void>;
  /** After the last file. */
  end(): void;
  /** Ends `output` with this error: what was sent can't be opened as a whole archive. */
  destroy(error: Error): void;
}

export type ArchiveFormat = 'zip' | 'tar';

/** The zip library is loaded with the first zip: a portal in which nobody downloads anything does without its memory. */
export async function archiveWriter(format: ArchiveFormat): Promise<ArchiveWriter> {
  if (format === 'tar') return new TarWriter();
  const { default: Zip } = await import('zip-stream');
  return new ZipWriter(new Zip({ store: true }));
}

const MODE = 0o100644;
/** Years that the date fields of a zip can hold. */
const ZIP_DATES = [Date.UTC(1980, 0, 2), Date.UTC(2107, 11, 30)] as const;
/** What the tar library writes: whole seconds in 31 bits. */
const TAR_DATES = [0, (2 ** 31 - 1) * 1000] as const;

/**
 * Files lie in it as they are: compressing would cost the portal's processor, and most large files are compressed already. What is larger than
 * 4 GiB, or lies behind it, is written as zip64.
 */
class ZipWriter implements ArchiveWriter {
  readonly #zip: ZipStream;
  readonly #stopped = new AbortController();

  constructor(zip: ZipStream) {
    this.#zip = zip;
  }

  get output(): AsyncIterable<Uint8Array> {
    return this.#zip as AsyncIterable<Uint8Array>;
  }

  async add(file: ArchiveFile): Promise<void> {
    const { signal } = this.#stopped;
    signal.throwIfAborted();
    // A buffer would be written without waiting for the reader; a stream waits.
    const content = Readable.from(piecesOf(file.content), { objectMode: false });
    const about = { name: file.name, date: within(file.mtime, ZIP_DATES), mode: MODE, store: true };
    let stop = (): void => undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        stop = () => reject(asError(signal.reason));
        signal.addEventListener('abort', stop, { once: true });
        content.once('error', reject);
        this.#zip.entry(content, about, (error) => (error ? reject(error) : resolve()));
      });
    } finally {
      signal.removeEventListener('abort', stop);
      content.destroy();
    }
  }

  end(): void {
    this.#zip.finalize();
  }

  destroy(error: Error): void {
    this.#stopped.abort(error);
    this.#zip.destroy(error);
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

class TarWriter implements ArchiveWriter {
  readonly #pack: Pack = pack();
  #stopped: Error | null = null;

  get output(): AsyncIterable<Uint8Array> {
    return this.#pack as AsyncIterable<Uint8Array>;
  }

  async add(file: ArchiveFile): Promise<void> {
    if (this.#stopped !== null) throw this.#stopped;
    const header = { name: file.name, size: file.size, mtime: within(file.mtime, TAR_DATES), mode: MODE & 0o777 };
    await new Promise<void>((resolve, reject) => {
      const entry = this.#pack.entry(header, (error) => (error ? reject(this.#stopped ?? error) : resolve()));
      // What it complains about was said to it here.
      entry.on('error', () => undefined);
      this.#fill(entry, file.content).catch((error: unknown) => {
        const reason = error instanceof Error ? error : new Error(String(error));
        entry.destroy(reason);
        reject(reason);
      });
    });
  }

  async #fill(entry: NodeJS.WritableStream, content: ArchiveFile['content']): Promise<void> {
    for await (const piece of piecesOf(content)) {
      if (this.#stopped !== null) throw this.#stopped;
      if (!entry.write(piece)) await drained(entry);
    }
    entry.end();
  }

  end(): void {
    this.#pack.finalize();
  }

  destroy(error: Error): void {
    this.#stopped ??= error;
    this.#pack.destroy(error);
  }
}

async function* piecesOf(content: ArchiveFile['content']): AsyncGenerator<Buffer> {
  if (Buffer.isBuffer(content)) yield content;
  else yield* content;
}

function drained(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    stream.once('drain', resolve);
    stream.once('close', resolve);
  });
}

function within(mtime: number, [first, last]: readonly [number, number]): Date {
  const at = Number.isFinite(mtime) ? mtime : 0;
  return new Date(Math.min(Math.max(at, first), last));
}
