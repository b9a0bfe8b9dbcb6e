import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { isTransient } from '../errors/catalogue.ts';
import type { SourceReader } from '../engines/port.ts';
import type { ListedFile } from '../layout/compare.ts';
import { Slots } from './slots.ts';

const MEBIBYTE = 1024 * 1024;
/** Files up to this size are read whole before anything of them is written; so are those whose size nobody knows, up to the second limit. */
const WHOLE_BYTES = 8 * MEBIBYTE;
const UNKNOWN_BYTES = 16 * MEBIBYTE;
/** What one of those is taken to hold until it is read: most hold less, and not many are under way at once. */
const UNKNOWN_GUESS = 4 * MEBIBYTE;
/** What is read ahead of the writer, at most: in memory, and in files. */
const BYTES_AHEAD = 24 * MEBIBYTE;
const FILES_AHEAD = 256;
const ATTEMPTS = 3;
/** Failures of the connection one after the other, after which going on is hopeless. */
const HOPELESS = 20;

/** A file of the source: read whole, still to be read piece by piece, or not to be read. */
export type FileContent =
  | { readonly kind: 'whole'; readonly body: Buffer }
  | { readonly kind: 'stream' }
  | { readonly kind: 'failed'; readonly error: BackupError };

export interface ReadFile {
  readonly file: ListedFile;
  readonly content: FileContent;
}

/**
 * Files in their order, small ones read many at once ahead of whoever takes them, in bounded memory.
 * @throws BackupError when file after file fails because the source as a whole cannot be reached
 */
export async function* readAhead(
  files: AsyncIterable<ListedFile>,
  reader: SourceReader,
  patience: Patience,
): AsyncGenerator<ReadFile> {
  const slots = new Slots(reader.filesAtOnce);
  const ahead: { readonly file: ListedFile; readonly content: Promise<FileContent>; held: number }[] = [];
  let bytes = 0;
  const add = (file: ListedFile): void => {
    const one = { file, content: contentOf(file, reader, slots), held: guessFor(file) };
    bytes += one.held;
    ahead.push(one);
    void one.content.then((read) => {
      const real = read.kind === 'whole' ? read.body.length : 0;
      bytes += real - one.held;
      one.held = real;
    });
  };
  const next = async (): Promise<ReadFile> => {
    const one = ahead.shift() as (typeof ahead)[number];
    const { file } = one;
    const read = await one.content;
    bytes -= one.held;
    if (read.kind === 'failed') patience.failedOne(read.error);
    else if (read.kind === 'whole') patience.readOne();
    return { file, content: read };
  };
  try {
    for await (const file of files) {
      add(file);
      while (bytes > BYTES_AHEAD || ahead.length > FILES_AHEAD) yield await next();
    }
    while (ahead.length > 0) yield await next();
  } finally {
    slots.close();
    await Promise.all(ahead.map(async ({ content }) => await content));
  }
}

/** Ends the reading when every file fails for the same kind of reason. */
export class Patience {
  #inRow = 0;

  readOne(): void {
    this.#inRow = 0;
  }

  /** @throws the error, when it is the last that is borne */
  failedOne(error: BackupError): void {
    if (!isTransient(error.code)) return;
    this.#inRow += 1;
    if (this.#inRow >= HOPELESS) throw error;
  }
}

function guessFor({ size }: ListedFile): number {
  if (size < 0) return UNKNOWN_GUESS;
  return size <= WHOLE_BYTES ? size : 0;
}

/** Never rejects. */
async function contentOf(file: ListedFile, reader: SourceReader, slots: Slots): Promise<FileContent> {
  if (file.size > WHOLE_BYTES) return { kind: 'stream' };
  return await slots.use(async () => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return { kind: 'whole', body: await readWhole(file, reader) };
      } catch (error) {
        const known = isBackupError(error) ? error : new BackupError('ERR_TRANSFER', undefined, { cause: error });
        const again = isTransient(known.code) && attempt < ATTEMPTS && !slots.isClosed;
        if (!again) return { kind: 'failed', error: known };
      }
    }
  });
}

/** One byte more than the file should have shows that it has grown. */
async function readWhole(file: ListedFile, reader: SourceReader): Promise<Buffer> {
  const most = file.size < 0 ? UNKNOWN_BYTES : file.size;
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of await reader.open(file, 0)) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > most) break;
  }
  if (file.size < 0 && bytes > UNKNOWN_BYTES) throw new BackupError('ERR_SIZE_UNKNOWN');
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
}
