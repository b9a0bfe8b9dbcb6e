import { runExecutable } from '../src/command-line.ts';
import { allJobUuids } from '../src/database/job-list.ts';
import { BackupError, isBackupError } from '../src/errors/backup-error.ts';
import { adoptJob } from '../src/worker/adopt-job.ts';
import { loadConfig } from '../src/worker/config.ts';
import { openServices } from '../src/worker/open.ts';

await runExecutable({
  name: 'adopt',
  summary:
    'Takes the folders of jobs for this installation and database, whatever owner marker lies there. Written to the audit log.',
  notes: `
Only after a deliberate move: a new database server, another installation name, a lost key. Never while the former installation
still runs: two of them in one folder could delete what the other needs. Without --yes nothing is changed.`,
  positionals: [{ name: 'job', description: 'Identifier of the job', optional: true }],
  options: {
    config: { type: 'string', short: 'c', value: 'file', description: 'YAML configuration of the worker' },
    all: { type: 'boolean', description: 'All jobs whose marker is not ours' },
    yes: { type: 'boolean', description: 'Do it; otherwise only say what would be done' },
  },
  async main({ values, positionals }) {
    if (values.all === (positionals[0] !== undefined))
      throw new BackupError('ERR_USAGE', 'Name one job, or give --all.');
    const services = await openServices(loadConfig(values.config));
    let failed = 0;
    const one = async (job: string): Promise<void> => {
      try {
        const outcome = await adoptJob(services, job, { apply: values.yes });
        if (outcome.state === 'ours') console.log(`${job}: is ours already`);
        else
          console.log(
            `${job}: ${outcome.state === 'adopted' ? 'adopted' : 'would be adopted (give --yes)'}; before: ${outcome.before}`,
          );
      } catch (error) {
        if (!isBackupError(error)) throw error;
        failed += 1;
        console.error(`${job}: ${error.message} [${error.code}]`);
      }
    };
    try {
      if (positionals[0] !== undefined) await one(positionals[0]);
      else for await (const job of allJobUuids(services.database)) await one(job);
      return failed === 0 ? 0 : 1;
    } finally {
      await services.close();
    }
  },
});
