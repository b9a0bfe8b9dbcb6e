import { rm } from 'node:fs/promises';
import { BackupError } from '../../errors/backup-error.ts';
import { formatBytes, formatCount, formatDuration } from '../../http/format.ts';
import type { ProgressView, RunView } from '../../protocol/run.ts';
import { compareFolders } from './compare.ts';
import { followRun, startBackup } from './jobs.ts';
import type { Demo } from './start.ts';

interface Talk {
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** The result of `npm start -- --once --json`. */
export interface DemoResult {
  readonly portal: string;
  readonly run_id: string;
  readonly status: string;
  /** Files and bytes of the restore point. */
  readonly files: number;
  readonly bytes: number;
  /** How long the backup took. */
  readonly seconds: number;
  readonly restored: boolean;
}

const SPOKEN_EVERY_MS = 2_000;

/** Backs the demo's S3 source up and says how it goes. */
export async function firstBackup(demo: Demo, { say, signal }: Talk): Promise<RunView> {
  const { shop } = demo.jobs;
  if (shop === null) {
    throw new BackupError('JOB_NOT_FOUND', 'The demo’s first job was deleted. Choose a new folder with --data-dir.');
  }
  say('Backup: started');
  let spoken = 0;
  const run = await followRun(demo.client, await startBackup(demo.client, shop), {
    signal,
    onProgress: (progress) => {
      if (performance.now() - spoken < SPOKEN_EVERY_MS) return;
      spoken = performance.now();
      say(`Backup: ${describeProgress(progress)}`);
    },
  });
  const figures = `${formatCount(run.point?.files)} files, ${formatBytes(run.point?.bytes)}`;
  say(`Backup: ${run.status} in ${formatDuration(run.duration_ms)}${run.point === null ? '' : `, ${figures}`}`);
  if (run.problem !== null) say(`Backup: ${run.problem.what} ${run.problem.action} [${run.problem.code}]`);
  return run;
}

/**
 * Restores the point of a run with bin/restore, as an operator would, and compares every file with the source by SHA-256.
 */
export async function proveRestore(demo: Demo, run: RunView, { say }: Talk): Promise<DemoResult> {
  const restored = run.point !== null && (await isRestorable(demo, run.run_id, say));
  return {
    portal: demo.address,
    run_id: run.run_id,
    status: run.status,
    files: run.point?.files ?? 0,
    bytes: run.point?.bytes ?? 0,
    seconds: Math.round(run.duration_ms ?? 0) / 1000,
    restored,
  };
}

async function isRestorable(demo: Demo, runId: string, say: Talk['say']): Promise<boolean> {
  const target = demo.folder.path('restored', runId);
  await rm(target, { recursive: true, force: true });
  try {
    say('Restore: started');
    const ended = await demo.restore(runId, target);
    if (!ended.ok) {
      say(`Restore: ${ended.how}`);
      return false;
    }
    const differences = await compareFolders(demo.shopFolder, target);
    for (const { path, what } of differences.slice(0, 10)) say(`Restore: ${what}: ${path}`);
    say(
      differences.length === 0
        ? 'Restore: every file is equal to its source'
        : `Restore: ${differences.length} files differ`,
    );
    return differences.length === 0;
  } finally {
    await rm(target, { recursive: true, force: true });
  }
}

function describeProgress(progress: ProgressView): string {
  const { phase, status, files_done, files_total, bytes_transferred, bytes_total } = progress;
  if (status !== 'running' || bytes_total === 0) return phase ?? status;
  return `${formatCount(files_done)} of ${formatCount(files_total)} files, ${formatBytes(bytes_transferred)} of ${formatBytes(bytes_total)}`;
}
