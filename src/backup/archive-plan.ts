import type { ListedFile } from '../layout/compare.ts';
import { PathCursor } from './arrivals.ts';
import type { BackupPlan, PlanItem } from './plan.ts';
import type { ListedSource } from './source-listing.ts';
import type { Replayable } from './spill.ts';

/**
 * The plan of a run that writes an archive: it holds every file, also those that have not changed, so that each archive can be opened by itself.
 * What has changed is still counted, for the report and the brakes.
 */
export function planArchive(plan: BackupPlan, source: ListedSource): BackupPlan {
  const copyFiles = plan.unchanged + plan.moved + plan.copyFiles;
  return { ...plan, items: wholeSource(plan.items, source.files), copyFiles, copyBytes: source.bytes };
}

function wholeSource(items: Replayable<PlanItem>, files: Replayable<ListedFile>): Replayable<PlanItem> {
  return {
    count: items.count,
    async *[Symbol.asyncIterator]() {
      const listed = new PathCursor(files);
      try {
        for await (const item of items) {
          if (item.kind !== 'unchanged' && item.kind !== 'moved') yield item;
          else {
            const [file] = await listed.at(item.entry.path);
            const base = item.kind === 'unchanged' ? item.entry : item.base;
            if (file !== undefined) yield { kind: 'copy', file, base };
          }
        }
      } finally {
        await listed.close();
      }
    },
  };
}

/** The files that go into the archive, in their order. */
export async function* filesOf(plan: BackupPlan): AsyncGenerator<ListedFile> {
  for await (const item of plan.items) if (item.kind === 'copy') yield item.file;
}
