import { expect, it } from '@jest/globals';
import type { CommitRequest, NewPoint } from '../../src/backup/ledger.ts';
import { claimRuns, type ClaimedRun } from '../../src/database/claims.ts';
import type { Database } from '../../src/database/connect.ts';
import { enqueueRunNotice } from '../../src/database/outbox.ts';
import { readWorkerJob } from '../../src/database/worker-jobs.ts';
import { event } from '../../src/events/catalogue.ts';
import { createLog } from '../../src/log.ts';
import { ActiveRun } from '../../src/worker/active-run.ts';
import { SqlLedger } from '../../src/worker/ledger.ts';
import { RunReporter } from '../../src/worker/run-reporter.ts';
import { describeOnBoth } from '../database/both.ts';
import { insertJob, insertRun, type TestJob } from '../database/rows.ts';

const log = createLog({ level: 'error', silent: true });

interface Scene {
  readonly job: TestJob;
  readonly run: ClaimedRun;
  readonly active: ActiveRun;
  readonly reporter: RunReporter;
  readonly ledger: SqlLedger;
}

/** A job with one claimed run, and the ledger of that claim. */
async function claimScene(database: Database, job?: TestJob): Promise<Scene> {
  const its = job ?? (await insertJob(database));
  await insertRun(database, its);
  const [run] = await claimRuns(database, {
    worker: { uuid: 'w', hostname: 'w', maxConcurrent: 99 },
    limits: { global: null, perClient: null },
    leaseMs: 60_000,
    slots: 99,
  });
  const active = new ActiveRun(database, run!, 60_000);
  const reporter = new RunReporter({ database, active, log, intervalMs: 3_600_000 });
  reporter.stop();
  const ledger = new SqlLedger({
    database,
    active,
    reporter,
    log,
    job: (await readWorkerJob(database, { id: its.id }))!,
    closing: (request) => [request.status === 'success' ? event('COMPLETED_SUCCESS') : event('COMPLETED_WARNING')],
    notify: async (trx, status) =>
      void (await enqueueRunNotice(trx, database, {
        id: run!.id,
        uuid: run!.uuid,
        jobId: its.id,
        clientId: its.clientId,
        kind: 'backup',
        status,
      })),
  });
  return { job: its, run: run!, active, reporter, ledger };
}

function pointOf({ run }: Scene, change: Partial<NewPoint> = {}): NewPoint {
  return {
    run: run.uuid,
    claim: run.claimName,
    generation: run.generation,
    manifestKey: `manifests/${run.uuid}.${run.claimName}.json`,
    manifestSha256: 'a'.repeat(64),
    createdAt: '2026-03-01T10:00:00.123Z',
    sourceType: 'sftp',
    complete: true,
    frozen: false,
    files: 3,
    bytes: 300,
    stored: 3,
    carried: 0,
    failed: 0,
    ...change,
  };
}

function commitOf(scene: Scene, change: Partial<CommitRequest> = {}): CommitRequest {
  return {
    status: 'success',
    point: pointOf(scene),
    freeze: null,
    statistics: {
      filesListed: 3,
      bytesListed: 300,
      filesCopied: 2,
      bytesCopied: 200,
      unchanged: 1,
      moved: 0,
      added: 2,
      changed: 0,
      deleted: 0,
      carried: 0,
      failed: 0,
    },
    events: [],
    ...change,
  };
}

describeOnBoth('the ledger of a claim', (current) => {
  it('commits status, point, freeze, events, notice and the release of the holds at once', async () => {
    const { database } = current();
    const first = await claimScene(database);
    expect(await first.ledger.takeHolds()).toEqual({ base: null, reference: null });
    expect(await first.ledger.commit(commitOf(first))).toBe('committed');

    const second = await claimScene(database, first.job);
    const held = await second.ledger.takeHolds();
    expect(held.base).toMatchObject({ run: first.run.uuid, claim: first.run.claimName, state: 'kept' });
    expect(held.reference?.point).toBe(held.base?.point);
    expect(await database.knex('s3_cloudbackup_restore_points').select('holds').first()).toEqual({ holds: 1 });
    second.ledger.event({ code: 'LISTED', params: { files: 3, bytes: 300, complete: false } });
    const freeze = { reason: 'brake' as const, referenceFiles: 3, deleted: 2, changed: 1 };
    expect(
      await second.ledger.commit(
        commitOf(second, { status: 'warning', freeze, point: pointOf(second, { complete: false, carried: 1 }) }),
      ),
    ).toBe('committed');

    expect(
      await database
        .knex('s3_cloudbackup_runs')
        .where({ uuid: second.run.uuid })
        .select('status', 'active_key', 'lease_token')
        .first(),
    ).toEqual({ status: 'warning', active_key: null, lease_token: null });
    const job = await database
      .knex('s3_cloudbackup_jobs')
      .select('stored_bytes', 'frozen_reason', 'frozen_run_uuid')
      .first();
    expect({ ...job, stored_bytes: Number((job as { stored_bytes: number }).stored_bytes) }).toEqual({
      stored_bytes: 400,
      frozen_reason: 'brake',
      frozen_run_uuid: second.run.uuid,
    });
    const events = (await database
      .knex('s3_cloudbackup_run_events')
      .where({ run_id: second.run.id })
      .orderBy('seq')
      .select('message_id')) as { message_id: string }[];
    expect(events.map((row) => row.message_id)).toEqual(['LISTED', 'COMPLETED_WARNING']);
    expect(await database.knex('s3_cloudbackup_outbox').pluck('dedupe_key')).toContain(
      `run:${second.run.uuid}:warning`,
    );
    expect(await database.knex('s3_cloudbackup_holds').select('id')).toEqual([]);
    expect(await database.knex('s3_cloudbackup_restore_points').orderBy('id').pluck('holds')).toEqual([0, 0]);
    expect(
      await database.knex('s3_cloudbackup_restore_points').orderBy('id', 'desc').select('created_at').first(),
    ).toEqual({ created_at: '2026-03-01 10:00:00.123' });
  });

  it('says committed again when only the answer was lost, and lost when somebody else owns the run', async () => {
    const { database } = current();
    const scene = await claimScene(database);
    expect(await scene.ledger.commit(commitOf(scene))).toBe('committed');
    expect(await scene.ledger.commit(commitOf(scene))).toBe('committed');
    expect(await database.knex('s3_cloudbackup_restore_points').select('id')).toHaveLength(1);

    const zombie = await claimScene(database);
    await database.knex('s3_cloudbackup_runs').where({ id: zombie.run.id }).update({ lease_token: 'successor' });
    expect(await zombie.ledger.commit(commitOf(zombie))).toBe('lost');
    expect(await database.knex('s3_cloudbackup_restore_points').select('id')).toHaveLength(1);
    expect(await database.knex('s3_cloudbackup_outbox').where({ run_id: zombie.run.id }).select('id')).toEqual([]);
    await zombie.active.heartbeat();
    expect(zombie.ledger.signal.reason).toMatchObject({ code: 'ERR_LEASE_LOST' });
    expect(zombie.ledger.heartbeatConfirmed()).toBe(false);
  });

  it('shows runs of this job only, with their claims, and every point that is not pruned', async () => {
    const { database } = current();
    const scene = await claimScene(database);
    const stranger = await insertRun(database, await insertJob(database, { client_id: 2 }));
    const view = await scene.ledger.view([scene.run.uuid, stranger.uuid, 'nobody']);
    expect([...view.runs.values()]).toEqual([{ run: scene.run.uuid, claim: 1, terminal: false, hadPoint: false }]);
    await scene.ledger.commit(commitOf(scene));
    await database.knex('s3_cloudbackup_restore_points').update({ state: 'marked' });
    const next = await claimScene(database, scene.job);
    expect((await next.ledger.view([])).points).toMatchObject([{ run: scene.run.uuid, state: 'marked' }]);
    expect((await next.ledger.view([])).runs.get(scene.run.uuid)).toMatchObject({ terminal: true, hadPoint: true });
    expect(await next.ledger.takeHolds()).toEqual({ base: null, reference: null });
    await database.knex('s3_cloudbackup_restore_points').update({ state: 'pruned' });
    expect((await next.ledger.view([scene.run.uuid])).points).toEqual([]);
    expect((await next.ledger.view([scene.run.uuid])).runs.get(scene.run.uuid)).toMatchObject({ hadPoint: true });
  });

  it('holds the newest kept point as base and the newest complete one as reference', async () => {
    const { database } = current();
    const complete = await claimScene(database);
    await complete.ledger.commit(commitOf(complete));
    const partial = await claimScene(database, complete.job);
    await partial.ledger.commit(commitOf(partial, { status: 'warning', point: pointOf(partial, { complete: false }) }));
    const next = await claimScene(database, complete.job);
    const held = await next.ledger.takeHolds();
    expect(held.base?.run).toBe(partial.run.uuid);
    expect(held.reference?.run).toBe(complete.run.uuid);
    await next.ledger.releaseHolds();
    expect(await database.knex('s3_cloudbackup_restore_points').pluck('holds')).toEqual([0, 0]);
  });

  it('adopts the point of a terminal run once, and leaves that run as it is', async () => {
    const { database } = current();
    const dead = await claimScene(database);
    await database
      .knex('s3_cloudbackup_runs')
      .where({ id: dead.run.id })
      .update({ status: 'failed', active_key: null, lease_token: null });
    const next = await claimScene(database, dead.job);
    expect(await next.ledger.adopt(pointOf(dead))).toBe('adopted');
    expect(await next.ledger.adopt(pointOf(dead))).toBe('known');
    expect(await database.knex('s3_cloudbackup_runs').where({ id: dead.run.id }).select('status').first()).toEqual({
      status: 'failed',
    });
    expect((await next.ledger.takeHolds()).base?.run).toBe(dead.run.uuid);
  });

  it('adopts nothing while somebody else takes its run over', async () => {
    const { database, server } = current();
    const dead = await claimScene(database);
    await database
      .knex('s3_cloudbackup_runs')
      .where({ id: dead.run.id })
      .update({ status: 'failed', active_key: null, lease_token: null });
    const sleeper = await claimScene(database, dead.job);
    const adopting = await database.transaction(async (trx) => {
      await trx('s3_cloudbackup_runs').where({ id: sleeper.run.id }).update({ lease_token: 'successor' });
      const adoption = sleeper.ledger.adopt(pointOf(dead));
      let answered = false;
      void adoption.finally(() => (answered = true)).catch(() => undefined);
      // On SQLite it waits for the one connection of this process.
      const waiting = "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'";
      const isWaiting = (): boolean => server === null || Number(server.admin(waiting)) > 0;
      while (!answered && !isWaiting()) await new Promise((resolve) => setImmediate(resolve));
      return { adoption };
    });
    expect(await adopting.adoption).toBe('lost');
    expect(await database.knex('s3_cloudbackup_restore_points').select('id')).toEqual([]);
  });

  it('stops the run when its base is no longer held', async () => {
    const { database } = current();
    const first = await claimScene(database);
    await first.ledger.commit(commitOf(first));
    const next = await claimScene(database, first.job);
    await next.ledger.takeHolds();
    expect(await next.active.heartbeat()).toBe(true);
    expect(next.ledger.signal.aborted).toBe(false);
    await database.knex('s3_cloudbackup_holds').delete();
    await next.active.heartbeat();
    expect(next.ledger.signal.reason).toMatchObject({ code: 'ERR_HOLD_LOST' });
  });
});

it('turns an unreachable database into the error that the protocol waits out, and loses no event', async () => {
  const { openTestDatabase } = await import('../database/open.ts');
  const { test, release } = await openTestDatabase('mysql');
  const scene = await claimScene(test.database);
  const { port, folder } = test.server!;
  test.server!.admin('SHUTDOWN');
  scene.ledger.event({ code: 'MARKER_CREATED', params: {} });
  await expect(scene.ledger.commit(commitOf(scene))).rejects.toMatchObject({ code: 'ERR_DATABASE_UNREACHABLE' });
  expect(await scene.active.heartbeat()).toBe(false);
  expect(scene.ledger.signal.aborted).toBe(false);

  const { startMariaDb } = await import('../servers/mariadb.ts');
  const again = await startMariaDb({ folder, port });
  expect(await scene.ledger.commit(commitOf(scene))).toBe('committed');
  expect(await test.database.knex('s3_cloudbackup_run_events').orderBy('seq').pluck('message_id')).toEqual([
    'MARKER_CREATED',
    'COMPLETED_SUCCESS',
  ]);
  await again.stop();
  await release();
}, 120_000);
