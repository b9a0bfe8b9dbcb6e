import { expect } from '@jest/globals';
import type { Database } from '../../src/database/connect.ts';
import { applyReindex, beginReindex } from '../../src/database/reindex.ts';
import { readWorkerJob } from '../../src/database/worker-jobs.ts';
import type { ReindexPlan } from '../../src/layout/reindex.ts';
import type { TestJob } from './rows.ts';

const NOTHING: ReindexPlan = {
  ...{ points: [], deleting: [], lost: [], runs: [], unusable: [] },
  ...{ generation: 4, frozen: false },
};

/** A reindex that finds what `plan` says in the bucket; returns its run. */
export async function reindex(database: Database, job: TestJob, plan: Partial<ReindexPlan>): Promise<string> {
  const row = await readWorkerJob(database, { uuid: job.uuid });
  if (row === null) throw new Error('the job is gone');
  const lease = await beginReindex(database, row, { leaseMs: 60_000, marginMs: 1_000, host: 'here' });
  if (lease === null) throw new Error('the job is busy');
  const sizes = { total: 0, byClaim: new Map<string, number>() };
  expect(await applyReindex(database, row, lease, { ...NOTHING, ...plan }, sizes)).toBe('applied');
  return lease.runUuid;
}
