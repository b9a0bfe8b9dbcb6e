import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { PointSource } from '../src/backup/point-reader.ts';
import { DEFAULT_MEMORY_ITEMS } from '../src/backup/context.ts';
import { toolPath, toolVersions } from '../src/engines/tools.ts';
import { LocalTarget } from '../src/restore/local-target.ts';
import { rcloneBulk } from '../src/restore/rclone-bulk.ts';
import { requireExact } from '../src/restore/report.ts';
import { restorePoint } from '../src/restore/restore-point.ts';
import type { BucketAccess } from '../src/storage/port.ts';
import { configSchema } from '../src/worker/config.ts';
import { benchFolder } from './servers.ts';

interface Restore {
  readonly source: PointSource;
  readonly place: { readonly run: string; readonly claim: string };
  readonly access: BucketAccess;
  readonly signal: AbortSignal;
  /** How many files it must bring. */
  readonly files: number;
}

/** Seconds from opening the manifest to the last file written; reading back follows, and is not counted. */
export async function restoreSeconds({ source, place, access, signal, files }: Restore): Promise<number> {
  const base = benchFolder();
  const folder = join(base, 'restored');
  try {
    const [rclone] = toolVersions(['rclone']);
    const bulk = rcloneBulk({
      binary: { path: toolPath('rclone'), version: rclone?.version ?? '' },
      from: access,
      to: { folder },
      workFolder: base,
      transfers: configSchema.shape.rclone.parse(undefined).transfers,
      bandwidth: 0,
    });
    const startedAt = performance.now();
    const report = await restorePoint({
      source,
      place,
      target: new LocalTarget({ folder, bulk }),
      space: { folder: base, memoryItems: DEFAULT_MEMORY_ITEMS },
      signal,
    });
    const seconds = (performance.now() - startedAt - report.verifyMs) / 1000;
    requireExact(report);
    if (report.exact !== files) throw new Error(`${report.exact} files came back instead of ${files}`);
    return seconds;
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}
