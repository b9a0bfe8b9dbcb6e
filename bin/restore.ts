import { mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runExecutable } from '../src/command-line.ts';
import { BackupError } from '../src/errors/backup-error.ts';
import { formatBytes, formatCount } from '../src/http/format.ts';
import { overwriteModes, type Overwrite } from '../src/protocol/run-options.ts';
import { makeWritableFolder } from '../src/restore/make-folder.ts';
import type { RestoreReport } from '../src/restore/report.ts';
import { loadConfig } from '../src/worker/config.ts';
import { openServices } from '../src/worker/open.ts';
import { restoreToFolder } from '../src/worker/restore-to-folder.ts';

await runExecutable({
  name: 'restore',
  summary:
    'Restores a restore point, or files and folders of it, into a folder of this machine, and compares every file with what was backed up.',
  notes: `
The point is named by its own identifier, by that of its run, or by a job and a moment: the newest point that is not later.
Without --overwrite the folder must be empty or not exist yet. With it, what lies there is left (never), replaced where the
backed-up version is newer (if_newer), or replaced (always). Exit code 1 when a file is missing or differs.
Example: restore --config worker.yaml --run 01a2… --path photos/2026 --path notes.txt --to /srv/restored`,
  options: {
    config: { type: 'string', short: 'c', value: 'file', description: 'YAML configuration of the worker' },
    run: { type: 'string', value: 'id', description: 'The run whose restore point is restored' },
    point: { type: 'string', value: 'id', description: 'The restore point' },
    job: { type: 'string', value: 'id', description: 'With --moment: the job' },
    moment: { type: 'string', value: 'time', description: 'Such as 2026-01-31T02:00:00Z' },
    path: { type: 'string', value: 'path', description: 'Only this file or folder of the point', multiple: true },
    folder: { type: 'string', value: 'path', description: 'The same as --path', default: '' },
    to: { type: 'string', value: 'folder', description: 'Folder to restore into', required: true },
    overwrite: { type: 'string', value: 'mode', description: 'never, if_newer or always' },
    'dry-run': { type: 'boolean', description: 'Only count what would be written' },
    json: { type: 'boolean', description: 'Print the report as one JSON object on the last line' },
  },
  async main({ values }) {
    const reference = referenceOf(values);
    const overwrite = overwriteOf(values.overwrite);
    const config = loadConfig(values.config);
    const services = await openServices(config);
    await makeWritableFolder(config.rclone.run_dir);
    const workFolder = mkdtempSync(join(config.rclone.run_dir, '.restore-'));
    const abort = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => abort.abort(new BackupError('ERR_CANCELLED')));
    let told = 0;
    try {
      const report = await restoreToFolder(services, {
        reference,
        paths: [...values.path, values.folder].map((path) => path.replace(/\/+$/, '')).filter((path) => path !== ''),
        target: resolve(values.to),
        overwrite,
        dryRun: values['dry-run'],
        workFolder,
        signal: abort.signal,
        onProgress(progress) {
          if (performance.now() - told < 1_000) return;
          told = performance.now();
          process.stderr.write(
            `${progress.phase}: ${formatCount(progress.files)} of ${formatCount(progress.filesTotal)} files, ${formatBytes(progress.bytes)} of ${formatBytes(progress.bytesTotal)}\n`,
          );
        },
      });
      for (const { path, code } of report.problems.slice(0, 100))
        process.stderr.write(`${code}: ${JSON.stringify(path)}\n`);
      console.log(sentenceOf(report, resolve(values.to)));
      if (values.json) {
        const { outcomes: _, problemCodes, ...rest } = report;
        console.log(JSON.stringify({ ...rest, problemCodes: Object.fromEntries(problemCodes) }));
      }
      return report.problemCount === 0 ? 0 : 1;
    } finally {
      rmSync(workFolder, { recursive: true, force: true });
      await services.close();
    }
  },
});

function referenceOf(values: {
  readonly point: string | undefined;
  readonly run: string | undefined;
  readonly job: string | undefined;
  readonly moment: string | undefined;
}): Parameters<typeof restoreToFolder>[1]['reference'] {
  if (values.point !== undefined) return { point: values.point };
  if (values.run !== undefined) return { run: values.run };
  if (values.job !== undefined && values.moment !== undefined) {
    const moment = Date.parse(values.moment);
    if (Number.isFinite(moment)) return { job: values.job, moment };
    throw new BackupError('ERR_USAGE', `--moment ${values.moment} is no time. Write it such as 2026-01-31T02:00:00Z.`);
  }
  throw new BackupError(
    'ERR_USAGE',
    'Name the restore point with --run, with --point, or with --job and --moment. Run restore --help to see what can be given.',
  );
}

function overwriteOf(given: string | undefined): Overwrite | null {
  if (given === undefined) return null;
  const mode = overwriteModes.find((one) => one === given);
  if (mode === undefined) throw new BackupError('ERR_USAGE', `--overwrite takes ${overwriteModes.join(', ')}.`);
  return mode;
}

function sentenceOf(report: RestoreReport, target: string): string {
  const written = `${formatCount(report.created)} new, ${formatCount(report.overwritten)} overwritten, ${formatCount(report.skipped)} left as they are, ${formatBytes(report.bytesToWrite)}`;
  if (report.dryRun)
    return `Nothing was written. A restore to ${target}: ${written}; problems: ${report.problemCount}.`;
  const sizeOnly = report.sizeOnly > 0 ? `, ${formatCount(report.sizeOnly)} by size only` : '';
  return `${formatCount(report.exact)} files compared by checksum${sizeOnly}, ${formatBytes(report.bytesToWrite)} restored to ${target} (${written}); problems: ${report.problemCount}.`;
}
