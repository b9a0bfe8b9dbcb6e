import { readingErrors } from '../../browse/reading-errors.ts';
import { isBackupError } from '../../errors/backup-error.ts';
import { catalogue, type ErrorCode } from '../../errors/catalogue.ts';
import type { ClientServices } from '../../jobs/client.ts';
import type { ComparisonView, FileRowView, FoundView, VersionsView } from '../../protocol/browse.ts';
import type { PointView } from '../../protocol/run.ts';
import type { RestoreQuery } from './restore.ts';
import type { ShownState } from './run-words.ts';

const ROWS = 100;

export interface Crumb {
  readonly name: string;
  readonly path: string;
}

/** One line of what a point holds. */
export interface BrowseRow {
  readonly kind: 'folder' | 'file';
  readonly name: string;
  readonly path: string;
  /** Path of the folder that it lies in, where rows of different folders stand together. */
  readonly below: string | null;
  readonly files: number | null;
  readonly size: number | null;
  readonly at: number | null;
  /** Null where there is nothing to say. */
  readonly state: ShownState | null;
}

export type Browsed =
  | {
      readonly mode: 'folder' | 'search';
      readonly crumbs: readonly Crumb[];
      readonly rows: readonly BrowseRow[];
      readonly total: number;
      /** Only of a search. */
      readonly searched: number | null;
      readonly next: string | null;
      readonly first: boolean;
    }
  | {
      readonly mode: 'versions';
      readonly crumbs: readonly Crumb[];
      readonly name: string;
      readonly versions: readonly object[];
      readonly absent: number;
      readonly unreadable: number;
      readonly next: string | null;
      readonly first: boolean;
    }
  | {
      readonly mode: 'compare';
      readonly crumbs: readonly Crumb[];
      readonly other: { readonly id: string; readonly at: number | null };
      readonly comparison: ComparisonView;
      readonly rows: readonly object[];
      readonly next: string | null;
      readonly first: boolean;
    };

/** What the page shows of a point: a folder, a search, the versions of a file, or a comparison with another point. */
export async function browsed(
  client: ClientServices,
  { job, point, asked }: { job: string; point: PointView; asked: RestoreQuery },
): Promise<Browsed> {
  const { folder, cursor } = asked;
  const pointId = point.point_id;
  const first = cursor === undefined;
  if (asked.versions !== '') {
    const versionsCursor = uuidOf(cursor);
    const found = await client.browse.versions({
      jobId: job,
      path: asked.versions,
      cursor: versionsCursor,
      limit: ROWS,
    });
    return { ...versionsModel(found, point), first };
  }
  if (asked.compare !== undefined) {
    const query = { pointId, otherId: asked.compare, folder, cursor, limit: ROWS };
    const [other, comparison] = await Promise.all([client.points.get(asked.compare), client.browse.compare(query)]);
    return {
      mode: 'compare',
      crumbs: crumbsOf(folder),
      other: { id: other.point_id, at: other.created_at_epoch_ms },
      comparison,
      rows: comparison.differences.map(differenceRow),
      next: comparison.next,
      first,
    };
  }
  if (asked.q !== '') {
    const found = await client.browse.search({ pointId, text: asked.q, folder, cursor, limit: ROWS });
    return {
      mode: 'search',
      crumbs: crumbsOf(folder),
      rows: found.found.map(foundRow),
      total: found.total_files,
      searched: found.searched_files,
      next: found.next,
      first,
    };
  }
  const found = await client.browse.folder({ pointId, folder, cursor, limit: ROWS });
  const folders = found.folders.map((row): BrowseRow => ({ ...nothing, ...row, kind: 'folder' }));
  return {
    mode: 'folder',
    crumbs: crumbsOf(folder),
    rows: [...folders, ...found.files.map(fileRow)],
    total: found.total_files,
    searched: null,
    next: found.next,
    first,
  };
}

/** What is wrong with a point, in words, when that is what an error says; null for every other error. */
export function problemIn(error: unknown): { code: ErrorCode; what: string; data: string; action: string } | null {
  const told: readonly ErrorCode[] = [...readingErrors, 'ERR_TLS', 'ERR_RATE_LIMIT', 'PATH_NOT_FOUND', 'INVALID_INPUT'];
  if (!isBackupError(error, ...told)) return null;
  const { what, data, action } = catalogue[error.code];
  return { code: error.code, what, data, action };
}

const nothing = { below: null, files: null, size: null, at: null, state: null } as const;

function fileRow(file: FileRowView): BrowseRow {
  return {
    ...nothing,
    kind: 'file',
    name: file.name,
    path: file.path,
    size: file.state === 'failed' ? null : file.size,
    at: file.mtime_epoch_ms,
    state: entryState(file.state),
  };
}

function foundRow(found: FoundView): BrowseRow {
  const below = found.path.slice(0, Math.max(0, found.path.length - found.name.length - 1));
  if (found.kind === 'folder') return { ...nothing, kind: 'folder', name: found.name, path: found.path, below };
  return { ...fileRow({ ...found, size: found.size ?? 0, state: found.state ?? 'stored' }), below };
}

function entryState(state: FileRowView['state']): ShownState | null {
  if (state === 'carried') return { kind: 'warning', word: 'Older version' };
  return state === 'failed' ? { kind: 'failed', word: 'Not backed up' } : null;
}

function versionsModel(found: VersionsView, point: PointView): Omit<Extract<Browsed, { mode: 'versions' }>, 'first'> {
  const above = found.path.split('/').slice(0, -1).join('/');
  return {
    mode: 'versions',
    crumbs: crumbsOf(above),
    name: found.path,
    versions: found.versions.map((version) => ({
      size: version.size,
      at: version.mtime_epoch_ms,
      state: entryState(version.state),
      points: version.points.length,
      newest: version.points[0],
      oldest: version.points.at(-1),
      current: version.points.some(({ point_id: id }) => id === point.point_id),
    })),
    absent: found.absent,
    unreadable: found.unreadable,
    next: found.next,
  };
}

const kinds = { added: 'Added', removed: 'Removed', changed: 'Changed' } as const;

function differenceRow(difference: ComparisonView['differences'][number]): object {
  const { kind, path, before, after } = difference;
  return {
    path,
    what: kinds[kind],
    before: before?.size ?? null,
    after: after?.size ?? null,
    at: (after ?? before)?.mtime_epoch_ms ?? null,
    there: after !== null,
  };
}

function crumbsOf(folder: string): Crumb[] {
  const names = folder === '' ? [] : folder.split('/');
  return names.map((name, i) => ({ name, path: names.slice(0, i + 1).join('/') }));
}

function uuidOf(cursor: string | undefined): string | undefined {
  return cursor !== undefined && /^[0-9a-f-]{36}$/.test(cursor) ? cursor : undefined;
}
