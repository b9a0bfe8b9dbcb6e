import { SpillList, type SpillSpace } from '../backup/spill.ts';
import { rcloneNameOfPath } from '../layout/encoding.ts';
import { filesFolder, parseKey, PLAIN_NAMES, type FileNames } from '../layout/keys.ts';
import type { Entry } from '../layout/types.ts';

/** Entries that lie in one folder of the bucket and go to one folder of the target under the same names. */
export interface CopyGroup {
  /** Relative to the job's prefix, without trailing slash. */
  readonly fromKey: string;
  readonly toPath: string;
  readonly names: SpillList<string>;
  /** Bytes of all of them. */
  bytes: number;
}

export interface Grouped {
  /** Each worth a call of the transfer program of its own. */
  readonly groups: readonly CopyGroup[];
  /** All others, one by one. */
  readonly single: SpillList<Entry>;
}

interface OpenGroup extends CopyGroup {
  few: Entry[] | null;
}

/** More groups than this are not collected: what belongs to others goes singly. */
const MOST_GROUPS = 1_000;
/** Names of one group that stay in memory. */
const NAMES_IN_MEMORY = 1_000;

/**
 * Sorts a point's entries into groups. A file that lies under its own name belongs to its claim's folder; one that moved belongs to
 * the pair of folders above what its key and its path have in common, so that a renamed folder is one group. Groups of fewer than
 * `fewEntries` become single ones.
 */
export async function groupEntries(
  entries: AsyncIterable<Entry>,
  space: SpillSpace,
  fewEntries: number,
  names: FileNames = PLAIN_NAMES,
): Promise<Grouped> {
  const groups = new Map<string, OpenGroup>();
  const single = new SpillList<Entry>(space);
  const groupSpace = { ...space, memoryItems: Math.min(space.memoryItems, NAMES_IN_MEMORY) };
  for await (const entry of entries) {
    const place = placeOf(entry, names);
    const id = place === null ? '' : `${place.fromKey}\n${place.toPath}`;
    let group = groups.get(id);
    if (place === null || (group === undefined && groups.size >= MOST_GROUPS && isText(entry.path))) {
      await single.add(entry);
      continue;
    }
    if (group === undefined) {
      const { fromKey, toPath } = place;
      group = { fromKey, toPath, names: new SpillList<string>(groupSpace), bytes: 0, few: [] };
      groups.set(id, group);
    }
    await group.names.add(place.name);
    group.bytes += entry.size;
    // A name that is no text can only be told to the program by a list, however few there are.
    if (group.few !== null && group.few.length < fewEntries && isText(entry.path)) group.few.push(entry);
    else group.few = null;
  }
  for (const { few } of groups.values()) for (const entry of few ?? []) await single.add(entry);
  const many = [...groups.values()].filter(({ few }) => few === null);
  for (const group of many) await group.names.finish();
  await single.finish();
  return { groups: many, single };
}

/** Null: the object has another name than the file, so it must be copied by itself. */
function placeOf(entry: Entry, names: FileNames): { fromKey: string; toPath: string; name: string } | null {
  const parsed = parseKey(entry.key);
  // Files of an archive come one by one, in its order, so that each part of it is read once; a name that is no text can only be listed.
  if (parsed?.kind === 'archive' && !isText(entry.path)) return { fromKey: entry.key, toPath: '', name: entry.path };
  if (parsed?.kind !== 'file') return null;
  const folder = filesFolder(parsed.run, parsed.claim).replace(/\/$/, '');
  const held = names.pathOfKey(parsed.name);
  if (held === null) return null;
  if (held === entry.path) return { fromKey: folder, toPath: '', name: held };
  const from = held.split('/');
  const to = entry.path.split('/');
  let common = 0;
  while (common < from.length && common < to.length && from.at(-1 - common) === to.at(-1 - common)) common += 1;
  if (common === 0) return null;
  const above = from.slice(0, from.length - common).join('/');
  return {
    fromKey: above === '' ? folder : `${folder}/${names.keyOfPath(above)}`,
    toPath: to.slice(0, to.length - common).join('/'),
    name: to.slice(to.length - common).join('/'),
  };
}

/** Escaped bytes are the only reason for a name to be no text, and they are quoted by this character. */
export function isText(path: string): boolean {
  if (!path.includes('‛')) return true;
  const name = rcloneNameOfPath(path);
  return Buffer.from(name.toString('utf8'), 'utf8').equals(name);
}
