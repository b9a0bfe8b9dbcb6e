import { isPath, keyOfPath } from './encoding.ts';
import { CRYPT_KEYS_KEY, OWNER_KEY, parseKey, type ParsedKey } from './keys.ts';

declare const deletable: unique symbol;

/**
 * A full key in a bucket that may be deleted. Only this file makes one, from a job's prefix and a key of the format, so nothing else can
 * reach an ObjectStore's `delete`: neither another engine's repository nor an object that a customer put beside ours.
 */
export type DeletableKey = string & { readonly [deletable]: true };

/** What a deletable key is. */
export interface DeletableObject {
  readonly key: DeletableKey;
  readonly kind: Exclude<ParsedKey['kind'], 'owner' | 'crypt_keys'>;
  readonly run: string;
  /** `c<number>-<8 hex>` */
  readonly claim: string;
}

/** The keys of one job that may be deleted. */
export class DeletableKeys {
  readonly #prefix: string;

  /** Throws RangeError when `prefix` is no normalised prefix of a job. */
  constructor(prefix: string) {
    const bare = prefix.slice(0, -1);
    if (!prefix.endsWith('/') || !isPath(bare) || keyOfPath(bare) !== bare)
      throw new RangeError('not a prefix of a job');
    this.#prefix = prefix;
  }

  /**
   * The object at a key (relative to the prefix), or null when it is not of the format and has to be left alone; also for the owner marker
   * and the keys of an encrypted job.
   */
  read(key: string): DeletableObject | null {
    const parsed = parseKey(key);
    if (parsed === null || parsed.kind === 'owner' || parsed.kind === 'crypt_keys') return null;
    if (parsed.kind === 'file' && !isFileName(parsed.name)) return null;
    return { key: this.#brand(key), kind: parsed.kind, run: parsed.run, claim: parsed.claim };
  }

  /** The key of something that our own code named. Throws RangeError when it is not of the format. */
  of(key: string): DeletableKey {
    const found = this.read(key);
    if (found === null) throw new RangeError(`not a key of the format: ${key}`);
    return found.key;
  }

  /** What goes when all else of a job's data is gone, in this order. */
  get last(): readonly DeletableKey[] {
    return [this.#brand(CRYPT_KEYS_KEY), this.#brand(OWNER_KEY)];
  }

  #brand(key: string): DeletableKey {
    return `${this.#prefix}${key}` as DeletableKey;
  }
}

/**
 * Names that we write never have an empty segment, `.` or `..`: a store that keeps its objects in folders would read another key in them.
 * A half surrogate stands for a byte that cannot be sent.
 */
function isFileName(name: string): boolean {
  return name.isWellFormed() && !/(?:^|\/)\.{0,2}(?:\/|$)/.test(name);
}
