import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { isTransient } from '../errors/catalogue.ts';
import type { PartReader, SourceReader } from '../engines/port.ts';
import type { ListedFile } from '../layout/compare.ts';
import { inOrder } from '../restore/in-order.ts';
import { giveBack } from './give-back.ts';
import { Seam } from './seam.ts';

/** What is asked for at once of a file that is read in parts. */
const PART_BYTES = 4 * 1024 * 1024;
const ATTEMPTS = 3;

/**
 * A large file piece by piece; each of them is good until the next one is asked for. Whether it changed meanwhile shows in the look at the source that follows each copy.
 * @throws BackupError also `ERR_RESUME_DIFFERS`, when the source sends something else than what goes on from what came before
 */
export async function* readLarge(file: ListedFile, reader: SourceReader): AsyncGenerator<Buffer> {
  let begun = false;
  if (reader.parts !== undefined)
    for await (const piece of readParts(file, reader.parts)) {
      begun = true;
      yield piece;
    }
  if (!begun) yield* readThrough(file, reader);
}

/** Several parts at once, each held in memory until its turn comes. Ends before it has begun where the source gives no parts of such a file. */
async function* readParts(file: ListedFile, parts: PartReader): AsyncGenerator<Buffer> {
  let version: string | null = null;
  const read = inOrder(rangesOf(file.size), parts.atOnce, async (range) => await parts.read(file, range));
  for await (const part of read) {
    if (part === null && version === null) return;
    version ??= part?.version ?? null;
    if (part === null || part.version !== version) throw new BackupError('ERR_RESUME_DIFFERS');
    for (const piece of part.pieces) {
      yield piece;
      if (piece.length === piece.buffer.byteLength) giveBack(piece);
    }
  }
}

async function* rangesOf(size: number): AsyncGenerator<{ first: number; last: number }> {
  for (let first = 0; first < size; first += PART_BYTES) yield { first, last: Math.min(size, first + PART_BYTES) - 1 };
}

/** From its beginning to its end. A connection that breaks is taken up where it broke. */
async function* readThrough(file: ListedFile, reader: SourceReader): AsyncGenerator<Buffer> {
  const seam = new Seam();
  for (let attempt = 1; ; attempt += 1) {
    const before = seam.at;
    try {
      const { from } = seam;
      for await (const piece of seam.fitted(await reader.open(file, from), from)) {
        yield piece;
        if (seam.at > file.size) return;
      }
      return;
    } catch (error) {
      if (seam.at > before) attempt = 1;
      if (!isBackupError(error) || !isTransient(error.code) || attempt >= ATTEMPTS || seam.at >= file.size) throw error;
    }
  }
}
