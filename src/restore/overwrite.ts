import type { JobBucket } from '../backup/job-bucket.ts';
import { sortExternally } from '../backup/sorted-listing.ts';
import type { SpillSpace } from '../backup/spill.ts';
import { compareUtf8 } from '../layout/order.ts';
import type { Entry } from '../layout/types.ts';
import { objectTime } from './object-time.ts';
import type { SkipCode } from './outcome.ts';
import type { Existing, Overwrite } from './port.ts';

/** `done`: an earlier attempt of this very restore has put it there. */
export type Decision = 'create' | 'overwrite' | 'done' | 'blocked' | SkipCode;

/** What is to be done about one file, by what lies in its place at the target. */
export async function decide(
  entry: Entry,
  existing: Existing | null,
  how: {
    readonly overwrite: Overwrite;
    /** This is not the first attempt. */
    readonly continuing: boolean;
    /** When the first one was asked for, epoch milliseconds; absent: it is not known. */
    readonly begunAt?: number | undefined;
    /** When the point's version was changed, epoch milliseconds; asked only where it matters. */
    readonly versionTime: () => Promise<number>;
  },
): Promise<Decision> {
  if (existing === null) return 'create';
  if (existing.blocked === true) return 'blocked';
  if (how.continuing && (await isDone(entry, existing, how))) return 'done';
  switch (how.overwrite) {
    case 'never':
      return 'FILE_EXISTS';
    case 'always':
      return 'overwrite';
    case 'if_newer': {
      if (existing.size === entry.size && existing.hash !== null && existing.hash === entry.hash)
        return 'FILE_NOT_NEWER';
      const version = await how.versionTime();
      // Some places keep whole seconds only.
      return seconds(version) > seconds(existing.modified ?? Infinity) ? 'overwrite' : 'FILE_NOT_NEWER';
    }
  }
}

/**
 * Without a hash only a file that would be left as it is anyway may pass for one that was restored, and only one that has the date of a restored
 * file, or came since: somebody's own file may have the same size.
 */
async function isDone(
  entry: Entry,
  existing: Existing,
  { overwrite, begunAt = -Infinity, versionTime }: Parameters<typeof decide>[2],
): Promise<boolean> {
  if (existing.size !== entry.size) return false;
  if (entry.hash !== null && existing.hash !== null) return existing.hash === entry.hash;
  if (overwrite !== 'never') return false;
  const { modified } = existing;
  return modified === null || modified >= begunAt || seconds(modified) === seconds(await versionTime());
}

function seconds(epochMs: number): number {
  return Math.floor(epochMs / 1_000);
}

/**
 * When the version of the point was changed: as its object says it, which is what a restore gives the file, else what the source's listing
 * said. Epoch milliseconds.
 */
export async function timeOfEntry(bucket: JobBucket, entry: Entry, signal: AbortSignal): Promise<number> {
  // In an archive there is nothing but what the listing said.
  if (entry.offset !== undefined) return Date.parse(entry.mtime);
  const head = await bucket.store.head(bucket.prefix + entry.key, { signal });
  return objectTime(head?.metadata ?? {}) ?? Date.parse(entry.mtime);
}

/** Paths of which another one before them differs by case or by the form of its accents only: all but the first of each such set. */
export async function nameCollisions(entries: AsyncIterable<Entry>, space: SpillSpace): Promise<Set<string>> {
  const sorted = await sortExternally(folded(entries), (a, b) => compareUtf8(a[0], b[0]), space);
  const collisions = new Set<string>();
  let last = '';
  for await (const [name, path] of sorted) {
    if (name === last) collisions.add(path);
    last = name;
  }
  return collisions;
}

async function* folded(entries: AsyncIterable<Entry>): AsyncGenerator<[string, string]> {
  for await (const { path } of entries) yield [path.normalize('NFC').toLowerCase(), path];
}
