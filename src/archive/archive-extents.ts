import { archiveKey, parseKey } from '../layout/keys.ts';
import type { Entry } from '../layout/types.ts';
import { WHOLE_BYTES } from './frame-builder.ts';

/** Bytes of an object before it was encrypted; null: it is not there. */
export type SizeOf = (key: string) => Promise<number | null>;

/** Whether archives are there and long enough for what should lie in them. Each object is asked for once. */
export class ArchiveExtents {
  readonly #sizeOf: SizeOf;
  readonly #sizes = new Map<string, Promise<number | null>>();

  /** @param sizeOf by a key relative to the job's prefix */
  constructor(sizeOf: SizeOf) {
    this.#sizeOf = sizeOf;
  }

  async judge({ key, size, offset = 0, length = 0 }: Entry): Promise<'there' | 'missing' | 'short'> {
    const parsed = parseKey(key);
    if (parsed?.kind !== 'archive') return 'missing';
    const first = await this.#size(key);
    if (first === null) return 'missing';
    if (first <= offset) return 'short';
    let reach = first - offset;
    // A small file lies in one frame, and a frame in one object.
    if (size <= WHOLE_BYTES && reach < length) return 'short';
    for (let part = parsed.part + 1; reach < length; part += 1) {
      const next = await this.#size(archiveKey(parsed.run, parsed.claim, part));
      if (next === null || next === 0) return 'short';
      reach += next;
    }
    return 'there';
  }

  #size(key: string): Promise<number | null> {
    const known = this.#sizes.get(key);
    if (known !== undefined) return known;
    const size = this.#sizeOf(key);
    this.#sizes.set(key, size);
    return size;
  }
}
