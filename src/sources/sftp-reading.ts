import type { NamedAttributes } from './sftp-protocol.ts';

/** A folder that waits to be read. Names are bytes, as the server has them. */
export interface Folder {
  /** Below the source's root; empty for the root itself. */
  readonly name: Buffer;
  /** Where it really lies, links resolved. */
  readonly real: Buffer;
  /** Links out of the source that were followed to get here. */
  readonly links: number;
}

/** Answers in a row without a name: one of them is usual, for the folder itself and the one above it. */
const MOST_EMPTY_PORTIONS = 1_000;

/** A folder that is being read, portion by portion. */
export class Reading {
  readonly folder: Folder;
  portions: AsyncGenerator<NamedAttributes[]> | null = null;
  /** Files of it were handed out: it cannot be read again from its start without telling them twice. */
  handedOut = false;
  #first: Buffer | null = null;
  #empty = 0;

  constructor(folder: Folder) {
    this.folder = folder;
  }

  beginAgain(): void {
    this.portions = null;
    this.#first = null;
    this.#empty = 0;
  }

  /** Whether this portion shows that they will never end: the folder begins anew, or brings nothing again and again. */
  isEndless(portion: readonly NamedAttributes[]): boolean {
    const name = portion[0]?.name ?? null;
    this.#empty = name === null ? this.#empty + 1 : 0;
    if (name === null) return this.#empty > MOST_EMPTY_PORTIONS;
    if (this.#first !== null) return this.#first.equals(name);
    this.#first = name;
    return false;
  }
}
