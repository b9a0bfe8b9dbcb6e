import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runExecutable } from '../src/command-line.ts';
import { BackupError } from '../src/errors/backup-error.ts';
import { formatBytes, formatCount } from '../src/http/format.ts';
import { loadConfig } from '../src/worker/config.ts';
import { openServices } from '../src/worker/open.ts';
import { restoreToFolder } from '../src/worker/restore-to-folder.ts';

await runExecutable({
  name: 'restore',
  summary:
    'Restores a restore point, or one folder of it, into an empty folder of this machine, and compares every file with what was backed up.',
  notes: `
The point is named by its own identifier or by that of its run. Exit code 1 when a file is missing or differs.
Example: restore --config worker.yaml --run 01a2… --folder photos/2026 --to /srv/restored`,
  options: {
    config: { type: 'string', short: 'c', value: 'file', description: 'YAML configuration of the worker' },
    run: { type: 'string', value: 'id', description: 'The run whose restore point is restored' },
    point: { type: 'string', value: 'id', description: 'The restore point' },
    folder: { type: 'string', value: 'path', description: 'Only this folder, or this file, of the point', default: '' },
    to: {
      type: 'string',
      value: 'folder',
      description: 'Folder to restore into; it must be empty or not exist yet',
      required: true,
    },
    json: { type: 'boolean', description: 'Print the report as one JSON object on the last line' },
  },
  async main({ values }) {
    const reference =
      values.point !== undefined ? { point: values.point } : values.run !== undefined ? { run: values.run } : null;
    if (reference === null)
      throw new BackupError(
        'ERR_USAGE',
        'Name the restore point with --run or --point. Run restore --help to see what can be given.',
      );
    const config = loadConfig(values.config);
    const services = await openServices(config);
    mkdirSync(config.rclone.run_dir, { recursive: true, mode: 0o700 });
    const workFolder = mkdtempSync(join(config.rclone.run_dir, '.restore-'));
    const abort = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => abort.abort(new BackupError('ERR_CANCELLED')));
    let told = 0;
    try {
      const report = await restoreToFolder(services, {
        reference,
        folder: values.folder,
        target: resolve(values.to),
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
      console.log(
        `${formatCount(report.exact)} files compared by checksum${report.sizeOnly > 0 ? `, ${formatCount(report.sizeOnly)} by size only` : ''}, ${formatBytes(report.bytes)} restored to ${resolve(values.to)}; problems: ${report.problemCount}.`,
      );
      if (values.json) console.log(JSON.stringify(report));
      return report.problemCount === 0 ? 0 : 1;
    } finally {
      rmSync(workFolder, { recursive: true, force: true });
      await services.close();
    }
  },
});
