import type { ErrorCode } from '../errors/catalogue.ts';
import { compareUtf8 } from '../layout/order.ts';
import type { Entry } from '../layout/types.ts';
import { recordedMd5 } from '../restore/object-time.ts';
import type { ObjectHead } from '../storage/port.ts';

/** What is not as the manifest says, and what could not be compared. */
export type ProofKind = 'missing' | 'differs' | 'size_only' | 'changed_since';

export type ProofCode =
  | ErrorCode
  /** The object of a file is gone from the bucket. */
  | 'OBJECT_MISSING'
  /** It has another size than was backed up. */
  | 'OBJECT_SIZE'
  /** It has the size, but other bytes. */
  | 'OBJECT_DIFFERS'
  /** It has the size; no checksum is known to compare its content by. */
  | 'NO_CHECKSUM'
  /** The source holds other bytes under the same date. */
  | 'SOURCE_DIFFERS'
  /** The source has another version by now, or none. */
  | 'SOURCE_CHANGED'
  | 'SOURCE_DELETED';

/** One file (or one chunk, by its key) that is told of in the report of a validation or drill. */
export interface ProofFile {
  readonly kind: ProofKind;
  readonly code: ProofCode;
  readonly path: string;
}

/** `size_only`: nothing is wrong as far as it could be compared, and not everything could be compared by content. */
export type ProofOutcome = 'success' | 'size_only' | 'failed';

/** Damage is told in full before anything else is. */
const MOST_DAMAGE = 10_000;
const MOST_REMARKS = 1_000;

/** Collects what a validation or drill finds: exact counts of everything, and as many names as a report holds. */
export class ProofTally {
  files = 0;
  bytes = 0;
  /** Compared by content, and right. */
  exact = 0;
  readonly totals: Partial<Record<ProofKind, number>> = {};
  readonly #damage: ProofFile[] = [];
  readonly #remarks: ProofFile[] = [];

  add(file: ProofFile): void {
    this.totals[file.kind] = (this.totals[file.kind] ?? 0) + 1;
    const damage = isDamage(file.kind);
    const list = damage ? this.#damage : this.#remarks;
    if (list.length < (damage ? MOST_DAMAGE : MOST_REMARKS)) list.push(file);
  }

  count(kind: ProofKind): number {
    return this.totals[kind] ?? 0;
  }

  get problems(): number {
    return this.count('missing') + this.count('differs');
  }

  /** Damage first, each in the order of paths. */
  get told(): readonly ProofFile[] {
    return [...this.#damage.sort(byPath), ...this.#remarks.sort(byPath)];
  }
}

function byPath(a: ProofFile, b: ProofFile): number {
  return compareUtf8(a.path, b.path);
}

function isDamage(kind: ProofKind): boolean {
  return kind === 'missing' || kind === 'differs';
}

/** What a listing says of an object; `md5` null: nothing, or nothing to be relied on. */
export interface SeenObject {
  readonly size: number;
  readonly md5: string | null;
}

export type ObjectVerdict =
  'exact' | Extract<ProofCode, 'OBJECT_MISSING' | 'OBJECT_SIZE' | 'OBJECT_DIFFERS' | 'NO_CHECKSUM'>;

/**
 * Holds what a listing shows to an entry. An ETag proves content only where it is an MD5; where it is none, or says otherwise than the
 * manifest, the object itself has to be asked (`ask`, then `judgeHead`).
 */
export function judgeSeen(entry: Entry, seen: SeenObject | null): ObjectVerdict | 'ask' {
  if (seen === null) return 'OBJECT_MISSING';
  // An entry of an archive is a part of its object: that the object is there is all that can be seen.
  if (entry.offset !== undefined) return 'NO_CHECKSUM';
  if (seen.size !== entry.size) return 'OBJECT_SIZE';
  if (entry.size === 0) return 'exact';
  if (entry.hash === null) return 'NO_CHECKSUM';
  return seen.md5 !== null && `md5:${seen.md5}` === entry.hash ? 'exact' : 'ask';
}

/**
 * As `judgeSeen`, by the answer to HEAD: it tells the MD5 that was recorded beside an upload in parts, and tells none where the ETag is
 * none because a key service encrypted the object.
 */
export function judgeHead(entry: Entry, object: ObjectHead | null): ObjectVerdict {
  const md5 = object === null ? null : (object.md5 ?? recordedMd5(object.metadata));
  const verdict = judgeSeen(entry, object === null ? null : { size: object.size, md5 });
  if (verdict !== 'ask') return verdict;
  return md5 === null ? 'NO_CHECKSUM' : 'OBJECT_DIFFERS';
}

export const KIND_OF = {
  OBJECT_MISSING: 'missing',
  OBJECT_SIZE: 'differs',
  OBJECT_DIFFERS: 'differs',
  NO_CHECKSUM: 'size_only',
} as const satisfies Record<Exclude<ObjectVerdict, 'exact'>, ProofKind>;
