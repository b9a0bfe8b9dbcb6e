import { expect, it } from '@jest/globals';
import { applyReindex, beginReindex } from '../../src/database/reindex.ts';
import { readWorkerJob } from '../../src/database/worker-jobs.ts';
import type { ReindexPlan } from '../../src/layout/reindex.ts';
import { describeOnBoth } from './both.ts';
import { insertJob, type TestJob } from './rows.ts';

const NOTHING: ReindexPlan = {
  ...{ points: [], deleting: [], lost: [], runs: [], unusable: [] },
  ...{ generation: 4, frozen: false },
};

describeOnBoth('a reindex', (current) => {
  /** One that finds what `plan` says; returns its run. */
  async function reindex(job: TestJob, plan: Partial<ReindexPlan>): Promise<string> {
    const { database } = current();
    const row = await readWorkerJob(database, { uuid: job.uuid });
    if (row === null) throw new Error('the job is gone');
    const lease = await beginReindex(database, row, { leaseMs: 60_000, marginMs: 1_000, host: 'here' });
    if (lease === null) throw new Error('the job is busy');
    const sizes = { total: 0, byClaim: new Map<string, number>() };
    expect(await applyReindex(database, row, lease, { ...NOTHING, ...plan }, sizes)).toBe('applied');
    return lease.runUuid;
  }
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
    const run = await reindex(job, { frozen: true });
    expect(await stateOf(job)).toMatchObject({ frozen_reason: 'reindexed', frozen_run_uuid: run });
    expect(await notices()).toEqual([{ kind: 'frozen', status: 'pending', job_id: job.id, client_id: 7 }]);
    // It is stopped already: there is nothing to tell.
    await reindex(job, { frozen: true });
    expect(await stateOf(job)).toMatchObject({ frozen_run_uuid: run });
    expect(await notices()).toHaveLength(1);
  });

  it('tells nothing where retention goes on', async () => {
    const job = await insertJob(current().database, { client_id: 7 });
    await reindex(job, {});
    expect(await stateOf(job)).toMatchObject({ frozen_at: null });
    expect(await notices()).toEqual([]);
  });
});
