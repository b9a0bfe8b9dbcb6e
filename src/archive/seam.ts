import { BackupError } from '../errors/backup-error.ts';

/** So much of what came before is asked for again. */
const OVERLAP_BYTES = 64 * 1024;

/**
 * Joins the readings of one file whose connection breaks. A server, or a proxy before it, that ignores ranges sends the file from its beginning,
 * and rclone passes that on as what was asked for: so each reading begins before the place where the last one ended, and its first bytes must be
 * the ones that are known.
 */
export class Seam {
  /** Bytes that were passed on. */
  at = 0;
  readonly #first = new Pieces();
  readonly #last = new Pieces();

  /** Where the next reading must begin. */
  get from(): number {
    const known = this.#known();
    // What looks like the beginning of the file could not be told from it.
    return known.equals(this.#first.joined().subarray(0, known.length)) ? 0 : this.at - known.length;
  }

  /**
   * What is new of a reading that began at `from`.
   * @throws BackupError `ERR_RESUME_DIFFERS`
   */
  async *fitted(pieces: AsyncIterable<Buffer>, from: number): AsyncGenerator<Buffer> {
    const known = this.#known();
    const seam = this.at;
    const begin = seam - known.length;
    let at = from;
    for await (const piece of pieces) {
      const again = piece.subarray(Math.max(0, begin - at), Math.max(0, seam - at));
      const offset = Math.max(0, at - begin);
      if (!again.equals(known.subarray(offset, offset + again.length))) throw new BackupError('ERR_RESUME_DIFFERS');
      const fresh = piece.subarray(Math.max(0, seam - at));
      at += piece.length;
      if (fresh.length === 0) continue;
      if (this.#first.bytes < OVERLAP_BYTES) this.#first.add(fresh);
      this.#last.add(fresh);
      this.#last.forget(OVERLAP_BYTES);
      this.at += fresh.length;
      yield fresh;
    }
  }

  #known(): Buffer {
    return this.#last.joined().subarray(-OVERLAP_BYTES);
  }
}

/** Bytes as they came: they are joined only when a connection broke. */
class Pieces {
  bytes = 0;
  #pieces: Buffer[] = [];

  add(piece: Buffer): void {
    this.#pieces.push(piece);
    this.bytes += piece.length;
  }

  /** Drops pieces from the beginning, but leaves so many bytes. */
  forget(most: number): void {
    for (let [first] = this.#pieces; first !== undefined && this.bytes - first.length >= most; [first] = this.#pieces) {
      this.#pieces.shift();
      this.bytes -= first.length;
    }
  }

  joined(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}
