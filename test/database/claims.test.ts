import { expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { claimRuns, type ClaimedRun } from '../../src/database/claims.ts';
import type { Database } from '../../src/database/connect.ts';
import {
  finishRun,
  findLostRuns,
  renewLease,
  requeueRun,
  saveProgress,
  takeLostRun,
} from '../../src/database/leases.ts';
import { describeOnBoth, type TestDatabase } from './both.ts';
import { insertJob, insertRun } from './rows.ts';

const WORKER = { uuid: 'w1', hostname: 'w1', maxConcurrent: 10 };
const NO_LIMITS = { global: null, perClient: null };

async function claimOne(
  database: Database,
  change: Partial<Parameters<typeof claimRuns>[1]> = {},
): Promise<ClaimedRun | undefined> {
  const runs = await claimRuns(database, { worker: WORKER, limits: NO_LIMITS, leaseMs: 60_000, slots: 1, ...change });
  return runs[0];
}

async function queueFor(database: Database, clients: readonly number[]): Promise<string[]> {
  const uuids: string[] = [];
  for (const client_id of clients) {
    const run = await insertRun(database, await insertJob(database, { client_id }), { client_id });
    uuids.push(run.uuid);
  }
  return uuids;
}

/** Starts `count` worker processes at once and returns what each of them claimed. */
async function raceWorkers(test: TestDatabase, count: number, limits: object = NO_LIMITS): Promise<string[][]> {
  const script = fileURLToPath(new URL('./claims.process.ts', import.meta.url));
  const outputs = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [script, JSON.stringify(test.settings), `worker-${index}`, JSON.stringify(limits)],
        {
          env: { ...process.env, NODE_OPTIONS: '' },
        },
      );
      return JSON.parse(stdout) as string[];
    }),
  );
  return outputs;
}

describeOnBoth('claims', (current) => {
  it('hand every queued run to exactly one of several worker processes', async () => {
    const uuids = await queueFor(
      current().database,
      Array.from({ length: 60 }, (_, index) => index % 7),
    );
    const claimed = (await raceWorkers(current(), 4)).flat();
    expect(claimed.sort()).toEqual(uuids.sort());
  });

  it('never pass the global, per-client and per-worker limits, however many workers ask at once', async () => {
    const { database } = current();
    await queueFor(
      database,
      Array.from({ length: 40 }, (_, index) => index % 4),
    );
    const claimed = (await raceWorkers(current(), 4, { global: 9, perClient: 3 })).flat();
    expect(claimed).toHaveLength(9);
    const rows = (await database
      .knex('s3_cloudbackup_runs')
      .where({ status: 'starting' })
      .groupBy('client_id')
      .select('client_id')
      .count({ runs: '*' })) as { runs: number }[];
    for (const row of rows) expect(Number(row.runs)).toBeLessThanOrEqual(3);
    const more = await claimRuns(database, {
      worker: { ...WORKER, maxConcurrent: 2 },
      limits: NO_LIMITS,
      leaseMs: 60_000,
      slots: 10,
    });
    expect(more).toHaveLength(2);
  });

  it('count the runs of each client by itself, over many claims', async () => {
    const { database } = current();
    await queueFor(
      database,
      Array.from({ length: 12 }, (_, index) => (index < 8 ? 1 : 2)),
    );
    const taken: number[] = [];
    for (let index = 0; index < 12; index += 1) {
      const run = await claimOne(database, { limits: { global: null, perClient: 3 } });
      if (run) taken.push(run.clientId);
    }
    expect(taken).toEqual([1, 2, 1, 2, 1, 2]);
  });

  it('obey the limit that the operator set for one client', async () => {
    const { database } = current();
    await queueFor(database, [1, 1, 1, 2]);
    await database.knex('s3_cloudbackup_settings').insert({
      client_id: 1,
      per_client_max_concurrent_jobs: 1,
      created_at: database.now(),
      updated_at: database.now(),
    });
    const runs = await claimRuns(database, {
      worker: WORKER,
      limits: { global: null, perClient: 5 },
      leaseMs: 60_000,
      slots: 10,
    });
    expect(runs.map((run) => run.clientId).sort()).toEqual([1, 2]);
  });

  it('serve the client with the fewest active runs first, then the oldest run', async () => {
    const { database } = current();
    const [a1, a2, a3, b1] = await queueFor(database, [1, 1, 1, 2]);
    const order: (string | undefined)[] = [];
    for (let index = 0; index < 4; index += 1) order.push((await claimOne(database))?.uuid);
    expect(order).toEqual([a1, b1, a2, a3]);
  });

  it('leave runs alone whose time has not come or that belong to an agent', async () => {
    const { database } = current();
    const job = await insertJob(database);
    await insertRun(database, job, { not_before: database.now(60_000) });
    await insertRun(database, await insertJob(database), { agent_uuid: 'a1' });
    expect(await claimOne(database)).toBeUndefined();
    await database.knex('s3_cloudbackup_runs').update({ not_before: database.now(-1) });
    expect((await claimOne(database))?.jobUuid).toBe(job.uuid);
  });

  it('count claims and generations up, also over a hand-back, and name the folder after the claim', async () => {
    const { database } = current();
    const job = await insertJob(database);
    await insertRun(database, job);
    const first = (await claimOne(database))!;
    expect(first).toMatchObject({
      claim: 1,
      generation: 1,
      attempt: 0,
      claimName: expect.stringMatching(/^c1-[0-9a-f]{8}$/) as unknown as string,
    });
    await database.transaction(async (trx) => await requeueRun(database, trx, lease(first), { usesAttempt: false }));
    const second = (await claimOne(database))!;
    expect(second).toMatchObject({
      claim: 2,
      generation: 2,
      attempt: 0,
      claimName: expect.stringMatching(/^c2-[0-9a-f]{8}$/) as unknown as string,
    });
    expect(second.leaseToken).not.toBe(first.leaseToken);
  });

  it('give a run that was lost another day, but for a restore: it may come from a copy of the database', async () => {
    const { database } = current();
    const until = database.now(60_000);
    const lost = { status: 'running', lease_token: 't', lease_expires_at: database.now(-60_000), expires_at: until };
    const backup = await insertRun(database, await insertJob(database), { ...lost, max_attempts: 3 });
    const restore = await insertRun(database, await insertJob(database), { ...lost, max_attempts: 3, kind: 'restore' });
    for (const run of await findLostRuns(database, 1_000))
      await database.transaction(async (trx) => await takeLostRun(database, trx, run, 1_000));
    const rows = database.knex('s3_cloudbackup_runs').where('status', 'queued');
    const soon = (await rows.clone().where('expires_at', '<=', database.now(61_000)).pluck('uuid')) as string[];
    expect(await rows.clone().pluck('uuid')).toHaveLength(2);
    expect(soon).toEqual([restore.uuid]);
    expect(soon).not.toContain(backup.uuid);
  });

  it('allow one active backup a job, and the next one when it is over', async () => {
    const { database } = current();
    const job = await insertJob(database);
    await insertRun(database, job);
    await expect(insertRun(database, job)).rejects.toThrow();
    const run = (await claimOne(database))!;
    await database.transaction(async (trx) => await finishRun(database, trx, lease(run), { status: 'success' }));
    await insertRun(database, job);
  });
});

describeOnBoth('leases', (current) => {
  it('make a late owner change nothing: neither progress, nor end, nor heartbeat', async () => {
    const { database } = current();
    await insertRun(database, await insertJob(database), { max_attempts: 3 });
    const zombie = (await claimOne(database, { leaseMs: -1000 }))!;
    expect(await findLostRuns(database, 60_000)).toEqual([]);
    const [lost] = await findLostRuns(database, 500);
    const taken = await database.transaction(async (trx) => await takeLostRun(database, trx, lost!, 500));
    expect(taken).toMatchObject({ status: 'queued' });
    const successor = (await claimOne(database))!;
    expect(successor).toMatchObject({ claim: 2, attempt: 1 });

    expect(await renewLease(database, lease(zombie), 60_000)).toBeNull();
    expect(await saveProgress(database, lease(zombie), PROGRESS)).toBe(false);
    await database.transaction(async (trx) => {
      expect(await finishRun(database, trx, lease(zombie), { status: 'success' })).toBe(false);
      expect(await requeueRun(database, trx, lease(zombie), { usesAttempt: false })).toBeNull();
    });
    expect(await saveProgress(database, lease(successor), PROGRESS)).toBe(true);
    expect(await database.knex('s3_cloudbackup_runs').select('status', 'claim', 'attempt').first()).toEqual({
      status: 'running',
      claim: 2,
      attempt: 1,
    });
  });

  it('may be renewed after they expired, as long as nobody took the run over', async () => {
    const { database } = current();
    await insertRun(database, await insertJob(database));
    const run = (await claimOne(database, { leaseMs: -1000 }))!;
    const [lost] = await findLostRuns(database, 500);
    expect(await renewLease(database, lease(run), 60_000)).toEqual({
      cancelRequested: false,
      cancelForced: false,
      yieldRequested: false,
    });
    expect(await database.transaction(async (trx) => await takeLostRun(database, trx, lost!, 500))).toBeNull();
  });

  it('end a lost run when no attempts are left, and free its job', async () => {
    const { database } = current();
    const job = await insertJob(database);
    await insertRun(database, job, { max_attempts: 1 });
    await claimOne(database, { leaseMs: -1000 });
    const [lost] = await findLostRuns(database, 500);
    await database.transaction(async (trx) => await takeLostRun(database, trx, lost!, 500));
    expect(await database.knex('s3_cloudbackup_runs').select('status', 'error_code', 'active_key').first()).toEqual({
      status: 'failed',
      error_code: 'ERR_WORKER_LOST',
      active_key: null,
    });
  });

  it('keep terminal states final', async () => {
    const { database } = current();
    await insertRun(database, await insertJob(database));
    const run = (await claimOne(database))!;
    await database.transaction(async (trx) =>
      expect(await finishRun(database, trx, lease(run), { status: 'cancelled', errorCode: 'ERR_CANCELLED' })).toBe(
        true,
      ),
    );
    await database.transaction(async (trx) =>
      expect(await finishRun(database, trx, lease(run), { status: 'success' })).toBe(false),
    );
    expect(await database.knex('s3_cloudbackup_runs').select('status').first()).toEqual({ status: 'cancelled' });
  });
});

const PROGRESS = {
  phase: 'copying',
  bytesTotal: 10,
  bytesTransferred: 5,
  bytesProcessed: 5,
  objectsTotal: 2,
  objectsTransferred: 1,
  speedBytesPerSec: 1.5,
  etaSeconds: null,
  currentItem: 'a',
  percent: 50,
};

function lease(run: ClaimedRun): { runId: number; runUuid: string; token: string } {
  return { runId: run.id, runUuid: run.uuid, token: run.leaseToken };
}
