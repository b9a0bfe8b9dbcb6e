import type { EntryState } from '../layout/types.ts';
import type { Entry } from '../layout/types.ts';
import type { Budget } from './budget.ts';
import type { OpenPoint } from './open-point.ts';

/** A point as the list of versions needs it; the newest first. */
export interface PointOfTime {
  readonly id: string;
  readonly open: () => Promise<OpenPoint>;
}

/** The same content in one or several points that follow each other. */
export interface FileVersion {
  readonly size: number;
  /** RFC 3339, as the source told it. */
  readonly mtime: string;
  /** `md5:<hex>` or null. */
  readonly hash: string | null;
  readonly state: EntryState;
  /** The points that hold it, the newest first. */
  readonly points: readonly string[];
}

export interface Versions {
  readonly versions: readonly FileVersion[];
  /** Points that have no such file. */
  readonly absent: readonly string[];
  /** Points that could not be read. */
  readonly unreadable: readonly { readonly id: string; readonly error: unknown }[];
  /** How many of the points were looked into before the time was up: one at least. */
  readonly looked: number;
}

const POINTS_AT_ONCE = 8;

/** Every version of one file in the given points. Points that hold the same object count as one version. */
export async function fileVersions(points: readonly PointOfTime[], path: string, budget: Budget): Promise<Versions> {
  const versions: (Omit<FileVersion, 'points'> & { points: string[]; key: string })[] = [];
  const absent: string[] = [];
  const unreadable: { id: string; error: unknown }[] = [];
  let looked = 0;
  while (looked < points.length && (looked === 0 || !budget.spent)) {
    const some = points.slice(looked, looked + POINTS_AT_ONCE);
    const entries = await Promise.all(some.map(async (point) => await lookInto(point, path)));
    entries.forEach((entry, i) => {
      const id = some[i]?.id ?? '';
      if (entry === null) absent.push(id);
      else if ('error' in entry) unreadable.push({ id, error: entry.error });
      else {
        const last = versions.at(-1);
        if (last !== undefined && isSameContent(last, entry) && last.state === entry.state) last.points.push(id);
        else versions.push({ ...versionOf(entry), points: [id] });
      }
    });
    looked += some.length;
    await budget.breathe();
  }
  return { versions: versions.map(({ key: _key, ...version }) => version), absent, unreadable, looked };
}

/** Whether two entries are the same object, or two with the same content. */
export function isSameContent(one: Pick<Entry, 'key' | 'hash' | 'size' | 'mtime'>, other: Entry): boolean {
  if (one.key !== '' && one.key === other.key) return true;
  if (one.hash !== null && other.hash !== null) return one.hash === other.hash && one.size === other.size;
  return one.size === other.size && one.mtime === other.mtime;
}

function versionOf(entry: Entry): Omit<FileVersion, 'points'> & { key: string } {
  return { size: entry.size, mtime: entry.mtime, hash: entry.hash, state: entry.state, key: entry.key };
}

async function lookInto(point: PointOfTime, path: string): Promise<Entry | { error: unknown } | null> {
  try {
    return await (await point.open()).find(path);
  } catch (error) {
    return { error };
  }
}
