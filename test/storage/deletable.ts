import type { DeletableKey } from '../../src/layout/deletable.ts';

/** Any keys, for tests of stores and for tests that damage a bucket. The product makes such keys by src/layout/deletable.ts alone. */
export function deletable(keys: readonly string[]): DeletableKey[] {
  return keys.map((key) => key as DeletableKey);
}
