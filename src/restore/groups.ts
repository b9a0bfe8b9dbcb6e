import { keyOfPath, pathOfKey } from '../layout/encoding.ts';
import { filesFolder, parseKey } from '../layout/keys.ts';
import type { Entry } from '../layout/types.ts';
import { SpillList, type SpillSpace } from '../backup/spill.ts';

/** Entries that lie in one folder of the bucket and go to one folder of the target under the same names. */
export interface CopyGroup {
  /** Relative to the job's prefix, without trailing slash. */
  readonly fromKey: string;
  readonly toPath: string;
  readonly names: SpillList<string>;
  /** The group's entries while they are few; null when they are more than that. */
  few: Entry[] | null;
}

/**
 * Sorts a point's entries into groups. A file that lies under its own name belongs to its claim's folder; one that moved belongs to
 * the pair of folders above what its key and its path have in common, so that a renamed folder is one group.
 */
export async function groupEntries(
  entries: AsyncIterable<Entry>,
  space: SpillSpace,
  fewEntries: number,
): Promise<{ groups: CopyGroup[]; single: Entry[] }> {
  const groups = new Map<string, CopyGroup>();
  const single: Entry[] = [];
  for await (const entry of entries) {
    const place = placeOf(entry);
    if (place === null) {
      single.push(entry);
      continue;
    }
    const id = `${place.fromKey}\n${place.toPath}`;
    const group = groups.get(id) ?? { ...place, names: new SpillList<string>(space), few: [] };
    groups.set(id, group);
    await group.names.add(place.name);
    if (group.few !== null && group.few.length < fewEntries) group.few.push(entry);
    else group.few = null;
  }
  for (const group of groups.values()) await group.names.finish();
  return { groups: [...groups.values()], single };
}

/** Null: the object has another name than the file, so it must be copied by itself. */
function placeOf(entry: Entry): { fromKey: string; toPath: string; name: string } | null {
  const parsed = parseKey(entry.key);
  if (parsed?.kind !== 'file') return null;
  const folder = filesFolder(parsed.run, parsed.claim).replace(/\/$/, '');
  const held = pathOfKey(parsed.name);
  if (keyOfPath(held) !== parsed.name) return null;
  if (held === entry.path) return { fromKey: folder, toPath: '', name: held };
  const from = held.split('/');
  const to = entry.path.split('/');
  let common = 0;
  while (common < from.length && common < to.length && from.at(-1 - common) === to.at(-1 - common)) common += 1;
  if (common === 0) return null;
  const above = from.slice(0, from.length - common).join('/');
  return {
    fromKey: above === '' ? folder : `${folder}/${keyOfPath(above)}`,
    toPath: to.slice(0, to.length - common).join('/'),
    name: to.slice(to.length - common).join('/'),
  };
}
