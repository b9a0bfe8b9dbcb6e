import { expect, it } from '@jest/globals';
import { v7 } from 'uuid';
import { claimRuns } from '../../src/database/claims.ts';
import type { Database } from '../../src/database/connect.ts';
import {
  findLostRuns,
  findOwnedRun,
  finishRun,
  readRequests,
  renewLease,
  requeueRun,
  saveProgress,
  takeLostRun,
} from '../../src/database/leases.ts';
import { takenPrefixes } from '../../src/database/prefixes.ts';
import {
  findKeptPoint,
  holdNewestPoint,
  insertPoint,
  jobRuns,
  livePoints,
  releaseExpiredHolds,
  releaseHolds,
  renewHolds,
} from '../../src/database/restore-points.ts';
import { claimCommand, completeCommand, expireCommands } from '../../src/database/worker-commands.ts';
import { readWorkerJob } from '../../src/database/worker-jobs.ts';
import { isAnyWorkerAlive, listWorkers, registerWorker, reportWorker } from '../../src/database/workers.ts';
import { describeOnBoth } from '../database/both.ts';
import { expectUsesIndex } from '../database/explain.ts';
import { insertJob, insertJobs, insertRun } from '../database/rows.ts';

const MANY = 3_000;
const LIMITS = { global: 50, perClient: 5 };
const WORKER = { uuid: 'w1', hostname: 'w1', maxConcurrent: 50 };

/** Enough rows that a scan would show: history of all kinds, most of it over. */
async function fill(database: Database): Promise<void> {
  await insertJobs(database, MANY);
  const jobs = (await database.knex('s3_cloudbackup_jobs').select('id', 'uuid', 'client_id')) as {
    id: number;
    uuid: string;
    client_id: number;
  }[];
  const runs = jobs.map((job) => ({
    uuid: v7(),
    job_id: job.id,
    job_uuid: job.uuid,
    client_id: job.client_id,
    status: 'success',
    kind: 'backup',
    worker_uuid: `old-${job.id % 20}`,
    created_at: '2026-01-01 00:00:00.000',
    updated_at: '2026-01-01 00:00:00.000',
  }));
  await database.knex.batchInsert('s3_cloudbackup_runs', runs, 200);
  const stored = (await database.knex('s3_cloudbackup_runs').select('id', 'uuid', 'job_id', 'client_id')) as {
    id: number;
    uuid: string;
    job_id: number;
    client_id: number;
  }[];
  const points = stored.map((run) => ({
    uuid: v7(),
    client_id: run.client_id,
    job_id: run.job_id,
    run_id: run.id,
    run_uuid: run.uuid,
    engine: 'sync',
    state: run.id % 3 === 0 ? 'kept' : 'pruned',
    status: 'success',
    generation: 1,
    claim_name: 'c1-00000000',
    manifest_key: 'm',
    manifest_sha256: '',
    dest_bucket_id: 1,
    dest_bucket: 'b',
    dest_prefix: 'p/',
    created_at: '2026-01-01 00:00:00.000',
  }));
  await database.knex.batchInsert('s3_cloudbackup_restore_points', points, 200);
  const commands = Array.from({ length: MANY }, () => ({
    uuid: v7(),
    client_id: 1,
    lane: 'worker',
    type: 'test_connection',
    status: 'completed',
    expires_at: '2026-01-01 00:00:00.000',
    created_at: '2026-01-01 00:00:00.000',
  }));
  await database.knex.batchInsert('s3_cloudbackup_run_commands', commands, 200);
  const workers = Array.from({ length: MANY }, (_, index) => ({
    uuid: `old-${index}`,
    hostname: 'h',
    version: '1',
    state: 'stopped',
    max_concurrent: 1,
    started_at: '2026-01-01 00:00:00.000',
    last_seen_at: '2026-01-01 00:00:00.000',
  }));
  await database.knex.batchInsert('s3_cloudbackup_workers', workers, 200);
}

/** Does everything that a worker does with the database, once. */
async function liveAWorkersLife(database: Database): Promise<void> {
  await registerWorker(database, { ...WORKER, version: '1', tools: {}, pid: 1 });
  await reportWorker(database, WORKER.uuid, 'running');
  await isAnyWorkerAlive(database, 30_000);
  await listWorkers(database);
  const job = await insertJob(database);
  await insertRun(database, job);
  const other = await insertJob(database);
  await insertRun(database, other);
  const runs = await claimRuns(database, { worker: WORKER, limits: LIMITS, leaseMs: 60_000, slots: 5 });
  const [first, second] = runs.map((run) => ({ runId: run.id, runUuid: run.uuid, token: run.leaseToken }));
  if (!first || !second) throw new Error('nothing was claimed');
  await renewLease(database, first, 60_000);
  await readRequests(database, WORKER.uuid);
  await saveProgress(database, first, {
    phase: 'copying',
    bytesTotal: 1,
    bytesTransferred: 1,
    bytesProcessed: 1,
    objectsTotal: 1,
    objectsTransferred: 1,
    speedBytesPerSec: 1,
    etaSeconds: 1,
    currentItem: 'a',
    percent: 1,
  });
  await readWorkerJob(database, { id: job.id });
  await readWorkerJob(database, { uuid: job.uuid });
  await livePoints(database, job.id);
  await jobRuns(database, job.id, [first.runUuid]);
  await database.transaction(async (trx) => {
    await finishRun(database, trx, first, { status: 'success' });
    await insertPoint(database, trx, {
      clientId: 1,
      jobId: job.id,
      runId: first.runId,
      runUuid: first.runUuid,
      status: 'success',
      generation: 1,
      claimName: 'c1-00000000',
      manifestKey: 'm',
      manifestSha256: '',
      complete: true,
      frozen: false,
      files: 0,
      bytes: 0,
      stored: 0,
      carried: 0,
      failed: 0,
      addedBytes: 0,
      destination: { bucketId: 1, bucket: 'b', prefix: 'p/' },
      createdAt: '2026-01-01 00:00:00.000',
    });
  });
  const hold = await holdNewestPoint(database, {
    jobId: job.id,
    runUuid: first.runUuid,
    purpose: 'base',
    ttlMs: 60_000,
  });
  await renewHolds(database, [hold?.token ?? ''], 60_000);
  await findKeptPoint(database, 1, { run: first.runUuid });
  await findKeptPoint(database, 1, { point: hold?.point.uuid ?? '' });
  await findKeptPoint(database, null, { job: job.uuid, moment: Date.now() });
  await takenPrefixes(database, [1]);
  await database.transaction(async (trx) => await releaseHolds(trx, [hold?.token ?? '']));
  await releaseExpiredHolds(database);
  await findOwnedRun(database, second);
  await database
    .knex('s3_cloudbackup_runs')
    .where({ id: second.runId })
    .update({ lease_expires_at: '2026-01-01 00:00:00.000' });
  const [lost] = await findLostRuns(database, 1_000);
  await database.transaction(async (trx) => await takeLostRun(database, trx, lost!, 1_000));
  const [again] = await claimRuns(database, { worker: WORKER, limits: LIMITS, leaseMs: 60_000, slots: 1 });
  await database.transaction(
    async (trx) =>
      await requeueRun(
        database,
        trx,
        { runId: again!.id, runUuid: again!.uuid, token: again!.leaseToken },
        { usesAttempt: false },
      ),
  );
  await database.knex('s3_cloudbackup_run_commands').insert({
    uuid: v7(),
    client_id: 1,
    lane: 'worker',
    type: 'x',
    status: 'pending',
    expires_at: database.now(60_000),
    created_at: database.now(),
  });
  const command = await claimCommand(database, 10_000);
  await completeCommand(database, command!, { ok: true, result: {} });
  await expireCommands(database);
}

/** Tables whose size does not grow with data: one row a scope. */
const SMALL = ['s3_cloudbackup_gates'];

describeOnBoth('what a worker asks of the database', (current) => {
  // Fills four tables with thousands of rows, so it takes a while.
  it('is answered by an index, each query of it', async () => {
    const { database } = current();
    await fill(database);
    const seen = new Map<string, readonly unknown[]>();
    const listen = (query: { sql: string; bindings: readonly unknown[] }): void => {
      if (/^(select|update|delete)/i.test(query.sql.trim())) seen.set(query.sql, query.bindings);
    };
    database.knex.on('query', listen);
    await liveAWorkersLife(database);
    database.knex.removeListener('query', listen);
    const problems: string[] = [];
    for (const [sql, bindings] of seen) {
      if (!/\bfrom\b|\bupdate\b|\bjoin\b/i.test(sql)) continue;
      await expectUsesIndex(current(), { sql, bindings }, { allowed: SMALL }).catch((error: unknown) =>
        problems.push(String(error)),
      );
    }
    expect(seen.size).toBeGreaterThan(30);
    expect(problems).toEqual([]);
  }, 120_000);
});
