import { pruneOld } from '../src/clock.ts';
import { runExecutable, stopSignal } from '../src/command-line.ts';
import { openClock } from '../src/open-clock.ts';

await runExecutable({
  name: 's3cloudbackup_events_prune',
  summary: 'Deletes events, logs and settled mails that are older than the module settings allow.',
  notes: `
For the crontab, once a day.
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
      const report = await pruneOld(parts, stopSignal());
      if (values.verbose) console.log(JSON.stringify(report));
      return 0;
    } finally {
      await close();
    }
  },
});
