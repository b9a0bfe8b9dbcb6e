import { claimFolder, parseKey } from '../layout/keys.ts';
import { compareUtf8 } from '../layout/order.ts';
import type { Entry } from '../layout/types.ts';
import type { StoredObject } from '../storage/port.ts';
import type { SeenObject } from './proof.ts';

/** The objects of one claim folder, asked for in the order of their keys; `objects` null: it was not listed. */
export class ClaimGroup {
  readonly folder: string;
  readonly objects: AsyncIterator<StoredObject> | null;
  readonly #reliable: boolean;
  #next: IteratorResult<StoredObject> | null = null;

  /** @param reliable the listing's MD5s are some */
  constructor(folder: string, objects: AsyncIterable<StoredObject> | null, reliable: boolean) {
    this.folder = folder;
    this.objects = objects?.[Symbol.asyncIterator]() ?? null;
    this.#reliable = reliable;
  }

  /** Several entries may ask for the same object. */
  async at(key: string): Promise<SeenObject | null> {
    if (this.objects === null) return null;
    this.#next ??= await this.objects.next();
    while (this.#next.done !== true && compareUtf8(this.#next.value.key, key) < 0)
      this.#next = await this.objects.next();
    if (this.#next.done === true || this.#next.value.key !== key) return null;
    const { size, md5 } = this.#next.value;
    return { size, md5: this.#reliable ? md5 : null };
  }

  async close(): Promise<void> {
    await this.objects?.return?.();
  }
}

/** The folder of the claim that stored an entry. */
export function folderOf({ key }: Entry): string {
  const parsed = parseKey(key);
  return parsed?.kind === 'file' || parsed?.kind === 'archive' ? claimFolder(parsed.run, parsed.claim) : '';
}
