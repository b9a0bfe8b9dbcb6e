import { expect, it } from '@jest/globals';
import { describeOnBoth } from './both.ts';
import { reindex } from './reindexing.ts';
import { insertJob, type TestJob } from './rows.ts';

describeOnBoth('a reindex', (current) => {
  const stateOf = async (job: TestJob) =>
    await current()
      .database.knex('s3_cloudbackup_jobs')
      .where('id', job.id)
      .first('frozen_at', 'frozen_reason', 'frozen_run_uuid');
  const notices = async () =>
    await current()
      .database.knex('s3_cloudbackup_outbox')
      .orderBy('id')
      .select('kind', 'status', 'job_id', 'client_id');

  it('that finds retention stopped in the bucket stops it in the database too, and writes the mail about it', async () => {
    const job = await insertJob(current().database, { client_id: 7 });
    const run = await reindex(current().database, job, { frozen: true });
    expect(await stateOf(job)).toMatchObject({ frozen_reason: 'reindexed', frozen_run_uuid: run });
    expect(await notices()).toEqual([{ kind: 'frozen', status: 'pending', job_id: job.id, client_id: 7 }]);
    // It is stopped already: there is nothing to tell.
    await reindex(current().database, job, { frozen: true });
    expect(await stateOf(job)).toMatchObject({ frozen_run_uuid: run });
    expect(await notices()).toHaveLength(1);
  });

  it('tells nothing where retention goes on', async () => {
    const job = await insertJob(current().database, { client_id: 7 });
    await reindex(current().database, job, {});
    expect(await stateOf(job)).toMatchObject({ frozen_at: null });
    expect(await notices()).toEqual([]);
  });
});
