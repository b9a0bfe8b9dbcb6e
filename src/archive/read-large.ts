import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { isTransient } from '../errors/catalogue.ts';
import type { PartReader, SourceReader } from '../engines/port.ts';
import type { ListedFile } from '../layout/compare.ts';
import { inOrder } from '../restore/in-order.ts';
import { Seam } from './seam.ts';

/** What is asked for at once of a file that is read in parts. */
const PART_BYTES = 4 * 1024 * 1024;
const ATTEMPTS = 3;

/**
 * A large file piece by piece; each of them is good until the next one is asked for. Whether it changed meanwhile shows in the look at the source
 * that follows each copy.
 * @param memory of the files before, to be used again
 * @throws BackupError also `ERR_RESUME_DIFFERS`, when the source sends something else than what goes on from what came before
 */
export async function* readLarge(
  file: ListedFile,
  reader: SourceReader,
  memory: Buffer[] = [],
): AsyncGenerator<Buffer> {
  let begun = false;
  if (reader.parts !== undefined)
    for await (const part of readParts(file, reader.parts, memory)) {
      begun = true;
      yield part;
    }
  if (!begun) yield* readThrough(file, reader);
}

/** Several parts at once, each held in memory until its turn comes. Ends before it has begun where the source gives no parts of such a file. */
async function* readParts(file: ListedFile, parts: PartReader, memory: Buffer[]): AsyncGenerator<Buffer> {
  let expected: string | null = null;
  const read = inOrder(beginningsOf(file.size), parts.atOnce, async (first) => {
    const buffer = memory.pop() ?? Buffer.allocUnsafeSlow(PART_BYTES);
    try {
      const part = buffer.subarray(0, Math.min(PART_BYTES, file.size - first));
      return { buffer, part, version: await parts.read(file, first, part) };
    } catch (error) {
      memory.push(buffer);
      throw error;
    }
  });
  for await (const { buffer, part, version } of read) {
    try {
      if (version === null && expected === null) return;
      expected ??= version;
      if (version !== expected) throw new BackupError('ERR_RESUME_DIFFERS');
      yield part;
    } finally {
      memory.push(buffer);
    }
  }
}

async function* beginningsOf(size: number): AsyncGenerator<number> {
  for (let first = 0; first < size; first += PART_BYTES) yield first;
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
