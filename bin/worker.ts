import { once } from 'node:events';
import { runExecutable } from '../src/command-line.ts';
import { checkWorker } from '../src/worker/check.ts';
import { loadConfig } from '../src/worker/config.ts';
import { startWorker } from '../src/worker/main.ts';
import { openServices } from '../src/worker/open.ts';

await runExecutable({
  name: 'worker',
  summary: 'Claims queued backup and restore runs from the database and carries them out with rclone.',
  notes: `
Every key of the configuration can come from the environment: CLOUD_BACKUP_<SECTION>_<KEY>, for example
CLOUD_BACKUP_DATABASE_PASSWORD. The encryption key comes from CLOUD_BACKUP_ENCRYPTION_KEY.
SIGTERM or Ctrl-C: stops claiming, stops the transfers, and hands the runs back without using up an attempt.
With --check, the exit code is 1 when something is not well.`,
  options: {
    config: { type: 'string', short: 'c', value: 'file', description: 'YAML configuration' },
    check: {
      type: 'boolean',
      description: 'Look at database, key, tools, storage and folders, say what is wrong, and end',
    },
  },
  async main({ values }) {
    const config = loadConfig(values.config);
    if (values.check) return await check(config);
    const services = await openServices(config);
    const running = await startWorker(services);
    const signal = await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
    services.log.info('stopping', { signal: String(signal[0] ?? '') });
    await running.stop();
    await services.close();
    return 0;
  },
});

async function check(config: ReturnType<typeof loadConfig>): Promise<number> {
  const findings = await checkWorker(config);
  const width = Math.max(...findings.map((finding) => finding.subject.length));
  for (const { subject, ok, found, remedy } of findings) {
    console.log(
      `${ok ? 'ok  ' : 'FAIL'} ${subject.padEnd(width)}  ${found}${remedy === undefined ? '' : `\n     ${' '.repeat(width)}  → ${remedy}`}`,
    );
  }
  return findings.every((finding) => finding.ok) ? 0 : 1;
}
