import type { Comparison, Side } from '../browse/compare-points.ts';
import type { FileRow, FolderPage } from '../browse/folder.ts';
import type { SearchPage } from '../browse/search.ts';
import type { Versions } from '../browse/versions.ts';
import type { ReadablePoint } from '../database/readable-points.ts';
import type { ComparisonView, FileRowView, FolderView, SearchView, VersionsView } from '../protocol/browse.ts';
import { times } from '../protocol/times.ts';

/** How what lies in restore points looks from outside. Pure. */

export function folderView(pointId: string, folder: string, page: FolderPage): FolderView {
  return {
    point_id: pointId,
    folder,
    total_files: page.total,
    folders: [...page.folders],
    files: page.files.map(fileView),
    next: page.next,
  };
}

export function searchView(pointId: string, page: SearchPage): SearchView {
  return {
    point_id: pointId,
    found: page.found.map((found) =>
      found.kind === 'file'
        ? { kind: found.kind, ...fileView(found) }
        : { ...found, size: null, state: null, ...times({ mtime: null }) },
    ),
    searched_files: page.searched,
    total_files: page.total,
    next: page.next,
  };
}

function fileView({ name, path, size, mtime, state }: FileRow): FileRowView {
  return { name, path, size, state, ...times({ mtime: timeOrNull(mtime) }) };
}

export function versionsView(about: {
  readonly jobId: string;
  readonly path: string;
  readonly points: readonly ReadablePoint[];
  readonly found: Versions;
  readonly next: string | undefined;
}): VersionsView {
  const byId = new Map(about.points.map((point) => [point.uuid, point]));
  return {
    job_id: about.jobId,
    path: about.path,
    versions: about.found.versions.map(({ size, hash, state, mtime, points }) => ({
      size,
      hash,
      state,
      ...times({ mtime: timeOrNull(Date.parse(mtime)) }),
      points: points.map((id) => {
        const point = byId.get(id);
        return { point_id: id, run_id: point?.runUuid ?? '', ...times({ created_at: point?.createdAt ?? null }) };
      }),
    })),
    absent: about.found.absent.length,
    unreadable: about.found.unreadable.length,
    next: about.next ?? null,
  };
}

export function comparisonView(ids: { pointId: string; otherId: string }, found: Comparison): ComparisonView {
  const { counts } = found;
  return {
    point_id: ids.pointId,
    other_point_id: ids.otherId,
    differences: found.differences.map(({ kind, path, before, after }) => ({
      kind,
      path,
      before: sideView(before),
      after: sideView(after),
    })),
    added: counts.added,
    removed: counts.removed,
    changed: counts.changed,
    added_bytes: counts.addedBytes,
    removed_bytes: counts.removedBytes,
    counted: found.counted,
    next: found.next,
  };
}

function sideView(side: Side | null): ComparisonView['differences'][number]['before'] {
  return side === null
    ? null
    : { size: side.size, state: side.state, ...times({ mtime: timeOrNull(Date.parse(side.mtime)) }) };
}

function timeOrNull(epochMs: number): number | null {
  return Number.isFinite(epochMs) ? epochMs : null;
}
