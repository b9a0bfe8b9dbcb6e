import { runExecutable } from '../src/command-line.ts';
import { allJobUuids } from '../src/database/job-list.ts';
import { BackupError, isBackupError } from '../src/errors/backup-error.ts';
import { adoptJob } from '../src/worker/adopt-job.ts';
import { loadConfig } from '../src/worker/config.ts';
import { findLostJobs, type FoundJob } from '../src/worker/lost-jobs.ts';
import { openServices } from '../src/worker/open.ts';

await runExecutable({
  name: 'adopt',
  summary:
    'Takes the folders of jobs for this installation and database, whatever owner marker lies there. Written to the audit log.',
  notes: `
Only after a deliberate move: a new database server, another installation name, a lost key. Never while the former installation
still runs: two of them in one folder could delete what the other needs. Without --yes nothing is changed.

With --client, for a database of which no copy is left: looks through all buckets of this client, and makes a job of each owner marker
whose job the database does not know: paused, without source and retention. Then run reindex --all.`,
  positionals: [{ name: 'job', description: 'Identifier of the job', optional: true }],
  options: {
    config: { type: 'string', short: 'c', value: 'file', description: 'YAML configuration of the worker' },
    all: { type: 'boolean', description: 'All jobs whose marker is not ours' },
    client: {
      type: 'string',
      value: 'number',
      description: 'Jobs that the database has lost, in the buckets of this client',
    },
    yes: { type: 'boolean', description: 'Do it; otherwise only say what would be done' },
  },
  async main({ values, positionals }) {
    if ([values.all, values.client !== undefined, positionals[0] !== undefined].filter(Boolean).length !== 1)
      throw new BackupError('ERR_USAGE', 'Name one job, or give --all or --client.');
    const clientId = Number(values.client ?? 1);
    if (!(Number.isSafeInteger(clientId) && clientId > 0))
      throw new BackupError('ERR_USAGE', '--client takes the number of a client.');
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
      if (values.client !== undefined) {
        for (const found of await findLostJobs(services, clientId, { apply: values.yes })) {
          console.log(lineOf(found));
          if (found.state === 'refused') failed += 1;
        }
      } else if (positionals[0] !== undefined) await one(positionals[0]);
      else for await (const job of allJobUuids(services.database)) await one(job);
      return failed === 0 ? 0 : 1;
    } finally {
      await services.close();
    }
  },
});

function lineOf({ bucket, prefix, job, state, about }: FoundJob): string {
  const what = {
    known: 'is known',
    lost: 'is not in the database; would be made a job of (give --yes)',
    made: 'was made a job of, paused',
    refused: 'left alone',
  };
  return `${bucket}/${prefix}: ${job ?? 'no job'} ${what[state]}; ${about}`;
}
