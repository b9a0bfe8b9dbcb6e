import { runExecutable } from '../src/command-line.ts';
import { allJobUuids } from '../src/database/job-list.ts';
import { BackupError, isBackupError } from '../src/errors/backup-error.ts';
import { loadConfig } from '../src/worker/config.ts';
import { openServices } from '../src/worker/open.ts';
import { reindexJob } from '../src/worker/reindex-job.ts';

await runExecutable({
  name: 'reindex',
  summary: 'Makes the database what the bucket of a job says: the way out of ERR_INDEX_STALE. Reads the bucket only.',
  notes: `
After the database was restored from a copy: stop all workers, wait lease + margin (75 seconds by default), run reindex --all, start
the workers. Safe to repeat. Exit code 1 when a job could not be reindexed; the others are done nevertheless.`,
  positionals: [{ name: 'job', description: 'Identifier of the job', optional: true }],
  options: {
    config: { type: 'string', short: 'c', value: 'file', description: 'YAML configuration of the worker' },
    all: { type: 'boolean', description: 'All jobs, deleted ones with data included' },
  },
  async main({ values, positionals }) {
    if (values.all === (positionals[0] !== undefined))
      throw new BackupError('ERR_USAGE', 'Name one job, or give --all.');
    const services = await openServices(loadConfig(values.config));
    const abort = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => abort.abort(new BackupError('ERR_CANCELLED')));
    let failed = 0;
    const one = async (job: string): Promise<void> => {
      try {
        const plan = await reindexJob(services, job, abort.signal);
        console.log(
          `${job}: ${plan.points.length} restore points, ${plan.lost.length} lost, ${plan.deleting.length} being deleted, ${plan.runs.length} runs`,
        );
        for (const key of plan.unusable) console.log(`${job}: cannot be used: ${key}`);
      } catch (error) {
        if (!isBackupError(error) || abort.signal.aborted) throw error;
        failed += 1;
        console.error(`${job}: ${error.message} [${error.code}]`);
      }
    };
    try {
      if (positionals[0] !== undefined) await one(positionals[0]);
      else {
        let jobs = 0;
        for await (const job of allJobUuids(services.database)) {
          await one(job);
          jobs += 1;
        }
        if (jobs === 0)
          console.error(
            'The database has no job. If it was lost, run "e3-cloudbackup-adopt --client <number> --yes" first.',
          );
      }
      return failed === 0 ? 0 : 1;
    } finally {
      await services.close();
    }
  },
});
