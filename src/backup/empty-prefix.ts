import { parseKey } from '../layout/keys.ts';
import type { PruneTools } from './prune-tools.ts';

/**
 * The last step of deleting a job's data: when nothing of the format is left below the prefix but the keys of an encrypted job and the owner
 * marker, they go too, the marker last. `emptied` is what a final listing says; `foreign` counts objects that are not of the format.
 */
export async function emptyPrefix(tools: PruneTools): Promise<{ readonly emptied: boolean; readonly foreign: number }> {
  const before = await countBelow(tools);
  if (before.ours > 0) return { emptied: false, foreign: before.foreign };
  await tools.remover.removeLast();
  const { ours, last, foreign } = await countBelow(tools);
  return { emptied: ours + last === 0, foreign };
}

async function countBelow({ bucket, remover }: PruneTools): Promise<{ ours: number; last: number; foreign: number }> {
  const counts = { ours: 0, last: 0, foreign: 0 };
  for await (const { key } of bucket.list('')) {
    const kind = parseKey(key)?.kind;
    if (kind === 'owner' || kind === 'crypt_keys') counts.last += 1;
    else if (remover.keys.read(key) !== null) counts.ours += 1;
    else counts.foreign += 1;
  }
  return counts;
}
