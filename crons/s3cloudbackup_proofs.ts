import { proveDue } from '../src/clock.ts';
import { runExecutable, stopSignal } from '../src/command-line.ts';
import { openClock } from '../src/open-clock.ts';

await runExecutable({
  name: 's3cloudbackup_proofs',
  summary: 'Queues the validations and restore tests whose time has come.',
  notes: `
For the crontab, every five minutes, on one machine or on several: each date gets one run whoever comes first.
The exit code is 1 when a job could not be looked after; it stays due.
The database is the one of the worker's configuration; every key can come from the environment (CLOUD_BACKUP_<SECTION>_<KEY>).
Nothing is printed unless --verbose is given or something fails.`,
  tools: [],
  options: {
    config: { type: 'string', short: 'c', value: 'file', description: 'YAML configuration of the worker' },
    verbose: { type: 'boolean', short: 'v', description: 'Say what was done, as one line of JSON' },
  },
  async main({ values }) {
    const { parts, close } = await openClock(values.config);
    try {
      const report = await proveDue(parts, stopSignal());
      if (values.verbose) console.log(JSON.stringify(report));
      return report.failed > 0 ? 1 : 0;
    } finally {
      await close();
    }
  },
});
