import { retainDue } from '../src/clock.ts';
import { runExecutable, stopSignal } from '../src/command-line.ts';
import { openClock } from '../src/open-clock.ts';

await runExecutable({
  name: 's3cloudbackup_retention',
  summary: 'Queues maintenance: old restore points, left-overs, and the data of deleted jobs whose grace is over.',
  notes: `
For the crontab, once a minute, on one machine or on several. Workers carry the maintenance out; nothing is deleted from here.
Retentions that keep less come into force when their cool-off is over.
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
      const report = await retainDue(parts, stopSignal());
      if (values.verbose) console.log(JSON.stringify(report));
      return report.failed > 0 ? 1 : 0;
    } finally {
      await close();
    }
  },
});
