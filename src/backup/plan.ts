import { compare, isMoveOf, type Decision, type ListedFile } from '../layout/compare.ts';
import type { BrakeCounts } from '../layout/brakes.ts';
import type { Entry } from '../layout/types.ts';
import type { ListedSource } from './source-listing.ts';
import { SpillList, type Replayable, type SpillSpace } from './spill.ts';

/** What becomes of one path, `moved` files told apart: their content is in the bucket already, under another name. */
export type PlanItem = Decision | { readonly kind: 'moved'; readonly entry: Entry; readonly base: Entry | null };

export interface BackupPlan {
  /** In the order of their paths. */
  readonly items: Replayable<PlanItem>;
  readonly unchanged: number;
  readonly moved: number;
  readonly added: number;
  readonly changed: number;
  readonly deleted: number;
  readonly carried: number;
  /** What has to be copied. */
  readonly copyFiles: number;
  readonly copyBytes: number;
  /** The same, measured against another point. */
  measure(reference: AsyncIterable<Entry>): Promise<Omit<BrakeCounts, 'referenceFiles'>>;
  /** Deletions and changes against the base itself. */
  readonly againstBase: Omit<BrakeCounts, 'referenceFiles'>;
}

/**
 * Hashes of new and changed files that are kept in memory to look for moved ones. Beyond that many, the rest is copied again:
 * that costs space, never content.
 */
const MOVE_CANDIDATES = 500_000;

/** Compares source and base (no entries: first run), and finds files that moved. */
export async function planBackup(
  source: ListedSource,
  base: AsyncIterable<Entry> | null,
  space: SpillSpace,
): Promise<BackupPlan> {
  const compared = new SpillList<PlanItem>(space);
  const wanted = new Map<string, Entry | null>();
  for await (const decision of compare(source.files, base ?? nothing(), source.isUnread)) {
    const spilling = compared.add(decision);
    if (spilling !== undefined) await spilling;
    const hash = base !== null && decision.kind === 'copy' ? decision.file.hash : null;
    if (hash !== null && wanted.size < MOVE_CANDIDATES) wanted.set(hash, null);
  }
  await compared.finish();
  const found = await findContents(compared, wanted);
  const items = found === 0 ? compared : await resolveMoves(compared, wanted, space);
  return await summarise(items, source, (entry) => isKeptElsewhere(wanted, entry));
}

/** Puts an entry of the base that holds the content beside each wanted hash. Returns how many were found. */
async function findContents(items: AsyncIterable<PlanItem>, wanted: Map<string, Entry | null>): Promise<number> {
  if (wanted.size === 0) return 0;
  let found = 0;
  for await (const item of items) {
    const entry = item.kind === 'unchanged' ? item.entry : item.base;
    if (entry === null || entry.hash === null || entry.state !== 'stored' || wanted.get(entry.hash) !== null) continue;
    wanted.set(entry.hash, entry);
    found += 1;
  }
  return found;
}

async function resolveMoves(
  items: AsyncIterable<PlanItem>,
  contents: ReadonlyMap<string, Entry | null>,
  space: SpillSpace,
): Promise<Replayable<PlanItem>> {
  const resolved = new SpillList<PlanItem>(space);
  for await (const item of items) await resolved.add(item.kind === 'copy' ? resolve(item, contents) : item);
  await resolved.finish();
  return resolved;
}

function resolve(
  item: { readonly kind: 'copy'; readonly file: ListedFile; readonly base: Entry | null },
  contents: ReadonlyMap<string, Entry | null>,
): PlanItem {
  const { file, base } = item;
  const there = file.hash === null ? null : contents.get(file.hash);
  if (!there || !isMoveOf(file, there)) return item;
  const { path, size, mtime, hash } = file;
  return { kind: 'moved', entry: { path, size, mtime, hash, key: there.key, state: 'stored' }, base };
}

/** A deleted file whose content a moved file refers to has moved; it is not lost. */
function isKeptElsewhere(contents: ReadonlyMap<string, Entry | null>, entry: Entry): boolean {
  const there = entry.hash === null ? null : contents.get(entry.hash);
  return there !== null && there !== undefined && there.size === entry.size;
}

async function summarise(
  items: Replayable<PlanItem>,
  source: ListedSource,
  hasMoved: (entry: Entry) => boolean,
): Promise<BackupPlan> {
  const counts = { unchanged: 0, moved: 0, added: 0, changed: 0, deleted: 0, carried: 0, copyFiles: 0, copyBytes: 0 };
  const againstBase = { deleted: 0, changed: 0 };
  for await (const item of items) {
    if (item.kind === 'copy') {
      counts[item.base === null ? 'added' : 'changed'] += 1;
      counts.copyFiles += 1;
      counts.copyBytes += Math.max(item.file.size, 0);
    } else {
      counts[item.kind] += 1;
    }
    if ((item.kind === 'copy' || item.kind === 'moved') && item.base !== null) againstBase.changed += 1;
    if (item.kind === 'deleted' && !hasMoved(item.base)) againstBase.deleted += 1;
  }
  return {
    items,
    ...counts,
    againstBase,
    measure: async (reference) => await measure(source, reference, hasMoved),
  };
}

async function measure(
  source: ListedSource,
  reference: AsyncIterable<Entry>,
  hasMoved: (entry: Entry) => boolean,
): Promise<Omit<BrakeCounts, 'referenceFiles'>> {
  let deleted = 0;
  let changed = 0;
  for await (const decision of compare(source.files, reference, source.isUnread)) {
    if (decision.kind === 'copy' && decision.base !== null) changed += 1;
    if (decision.kind === 'deleted' && !hasMoved(decision.base)) deleted += 1;
  }
  return { deleted, changed };
}

async function* nothing(): AsyncGenerator<Entry> {}
