// Slow: real worker processes against real servers.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { v7 } from 'uuid';
import { claimRuns } from '../../src/database/claims.ts';
import { BackupError } from '../../src/errors/backup-error.ts';
import { createLog } from '../../src/log.ts';
import type { RunView } from '../../src/protocol/run.ts';
import { ActiveRun } from '../../src/worker/active-run.ts';
import { parseConfig } from '../../src/worker/config.ts';
import { executeRun } from '../../src/worker/execute.ts';
import { openServices } from '../../src/worker/open.ts';
import { KEY, startWorld, type World } from './world.ts';

const MINUTE = 60_000;

async function until<T>(what: string, look: () => Promise<T | null | false>): Promise<T> {
  for (const end = Date.now() + 60_000; Date.now() < end; await delay(50)) {
    const found = await look();
    if (found !== null && found !== false) return found;
  }
  throw new Error(`waited in vain for: ${what}`);
}

/** The runs of one kind of a job, newest first. */
async function runsOf(world: World, jobId: string, kind: RunView['kind']): Promise<RunView[]> {
  return (await world.client.runs.list({ jobId })).rows.filter((run) => run.kind === kind);
}

async function codesOf(world: World, runId: string): Promise<string[]> {
  return (await world.client.runs.events(runId, { sinceId: 0, limit: 1000 })).map((event) => event.message_id);
}

/** Claims the one run that is queued and carries it out in this process; `stop`: it is asked to stop before it begins. */
async function executeHere(world: World, stop?: BackupError): Promise<void> {
  const { settings } = world.test;
  if (settings.driver !== 'mysql') throw new Error('written for MariaDB');
  const { host, port, database, username, password } = settings;
  const services = await openServices(
    parseConfig({
      database: { host, port, database, username, password },
      rclone: { run_dir: world.runFolder },
      installation: { name: 'integration' },
      egress: { allow: ['127.0.0.1'] },
      logging: { level: 'error' },
    }),
    { environment: { CLOUD_BACKUP_ENCRYPTION_KEY: KEY }, log: createLog({ level: 'error', silent: true }) },
  );
  try {
    const [run, ...more] = await claimRuns(services.database, {
      worker: { uuid: v7(), hostname: 'here', maxConcurrent: 2 },
      ...{ limits: { global: null, perClient: null }, leaseMs: MINUTE, slots: 2 },
    });
    if (run === undefined || more.length > 0) throw new Error('not one run is queued');
    const active = new ActiveRun(services.database, run, MINUTE);
    if (stop !== undefined) active.stop(stop);
    await executeRun(services, active, { pid: process.pid, started: 'here' });
  } finally {
    await services.close();
  }
}

describe('proofs by a worker', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld('mysql');
  }, 2 * MINUTE);
  afterEach(async () => {
    for (const worker of world.workers()) worker.kill('SIGTERM');
    await Promise.all(world.workers().map(async (worker) => await worker.ended()));
  }, MINUTE);
  afterAll(async () => await world.stop(), MINUTE);

  it(
    'a backup is validated by itself, damage is found and named, and a restore test finds it too',
    async () => {
      await world.startWorker();
      world.writeFiles('source', { 'site/a.txt': 'content a', 'site/b.txt': 'content b', 'site/d/c.txt': 'content c' });
      const job = await world.createJob({ name: 'site', source_path: 'site', validation_mode: 'post_run' });
      const backup = await world.backUp(job);
      expect(backup).toMatchObject({ status: 'success', point: { files: 3 } });
      const validated = await until('the validation of the backup', async () => {
        const run = await world.client.runs.get(backup.run_id);
        return run.validation_status === 'not_run' ? null : run;
      });
      expect(validated.validation_status).toBe('success');
      const [validation] = await runsOf(world, job, 'validation');
      expect(validation).toMatchObject({ status: 'success', trigger_type: 'validation', objects_transferred: 3 });
      expect(await codesOf(world, validation?.run_id ?? '')).toEqual([
        ...['VALIDATION_QUEUED', 'VALIDATION_START', 'VALIDATION_COMPARED', 'VALIDATION_SOURCE_COMPARED'],
        'VALIDATION_SUCCESS',
      ]);
      expect((await world.client.proofs.validationOf(backup.run_id)).excerpt).toContain('3 right by checksum');

      const drill = await world.waitForRun((await world.client.proofs.startDrill(job)).runId);
      expect(drill).toMatchObject({ status: 'success', objects_transferred: 3 });
      expect((await world.client.proofs.drills({ jobId: job })).rows).toMatchObject([
        { status: 'success', files: 3, exact: 3, size_only: 0, run_id: drill.run_id },
      ]);
      expect((await world.client.jobs.get(job)).job).toMatchObject({ drill_last_status: 'success' });

      const [row] = (await world.database.knex('s3_cloudbackup_restore_points').where('run_uuid', backup.run_id)) as {
        claim_name: string;
        dest_prefix: string;
        holds: number;
      }[];
      expect(row?.holds).toBe(0);
      const stored = join(
        world.folder,
        'backups',
        row?.dest_prefix ?? '',
        `run_${backup.run_id}`,
        row?.claim_name ?? '',
      );
      writeFileSync(join(stored, 'files/a.txt'), 'CONTENT A');
      await world.loseObject(row?.dest_prefix ?? '', `run_${backup.run_id}/${row?.claim_name}/files/d/c.txt`);
      world.writeFiles('source', { 'site/b.txt': 'newer content' });
      const found = [
        { kind: 'differs', code: 'OBJECT_DIFFERS', path: 'a.txt' },
        { kind: 'missing', code: 'OBJECT_MISSING', path: 'd/c.txt' },
      ];
      // The server sees what was written into its folder after a moment.
      const failed = await until('the validation that finds the damage', async () => {
        const { runId } = await world.client.proofs.startValidation(job);
        const run = await world.waitForRun(runId);
        return (await world.client.proofs.fileTotals(runId)).missing === 1 ? run : null;
      });
      expect(failed).toMatchObject({ status: 'failed', problem: { code: 'ERR_VALIDATION_DIFFERS' } });
      expect((await world.client.proofs.files(failed.run_id, { limit: 10 })).rows).toMatchObject([
        ...found,
        { kind: 'changed_since', path: 'b.txt' },
      ]);
      expect(await codesOf(world, failed.run_id)).toEqual(
        expect.arrayContaining(['FILES_DIFFER', 'VALIDATION_FAILED']),
      );
      expect((await world.client.jobs.get(job)).job).toMatchObject({ validation_last_status: 'failed' });
      const tested = await world.waitForRun((await world.client.proofs.startDrill(job)).runId);
      expect(tested).toMatchObject({ status: 'failed', problem: { code: 'ERR_DRILL_FAILED' } });
      expect((await world.client.proofs.files(tested.run_id, { limit: 10 })).rows).toMatchObject(found);
      expect((await world.client.jobs.get(job)).job).toMatchObject({ drill_last_status: 'failed' });
      // What was found damaged is copied again by the next backup, although nothing of it changed at the source.
      const healed = await world.backUp(job);
      expect(healed).toMatchObject({ status: 'success', objects_transferred: 3 });
      expect(await codesOf(world, healed.run_id)).toContain('DAMAGED_COPIED_AGAIN');
      await until('the validation of the healed backup', async () => {
        const run = await world.client.runs.get(healed.run_id);
        return run.validation_status === 'success';
      });
      await expect(world.stranger.proofs.files(tested.run_id, { limit: 1 })).rejects.toMatchObject({
        code: 'RUN_NOT_FOUND',
      });
    },
    3 * MINUTE,
  );

  it(
    'the report of a backup names what was left out, and a validation without its source says so',
    async () => {
      await world.startWorker();
      world.writeFiles('source', { 'odd/good.txt': 'good', [`odd/${'x'.repeat(200)}/${'y'.repeat(250)}`]: 'long' });
      const prefix = `p${'q'.repeat(200)}/${'r'.repeat(180)}`;
      const deep = `odd/${['1', '2', '3'].map((digit) => digit.repeat(200)).join('/')}/end`;
      world.writeFiles('source', { [deep]: 'too long for a key' });
      const job = await world.createJob({ name: 'odd', source_path: 'odd', dest_prefix: prefix });
      const backup = await world.backUp(job);
      expect(backup.status).toBe('warning');
      expect((await world.client.proofs.files(backup.run_id, { limit: 10 })).rows).toMatchObject([
        { kind: 'failed', code: 'ERR_KEY_TOO_LONG', path: deep.slice('odd/'.length) },
      ]);
      world.writeFiles('source', { [deep.replace('odd/', 'deep/')]: 'nothing else' });
      const nothing = await world.backUp(
        await world.createJob({ name: 'deep', source_path: 'deep', dest_prefix: `x${prefix}` }),
      );
      expect(nothing).toMatchObject({ status: 'failed', problem: { code: 'ERR_KEY_TOO_LONG' } });
      expect((await world.client.proofs.files(nothing.run_id, { limit: 10 })).rows).toMatchObject([{ kind: 'failed' }]);
      await world.database.knex('s3_cloudbackup_jobs').where('uuid', job).update({ source_config_enc: 'damaged' });
      const validation = await world.waitForRun((await world.client.proofs.startValidation(job)).runId);
      expect(validation).toMatchObject({ status: 'warning', objects_transferred: 2 });
      expect(await codesOf(world, validation.run_id)).toEqual(
        expect.arrayContaining(['VALIDATION_COMPARED', 'VALIDATION_SOURCE_SKIPPED', 'VALIDATION_SUCCESS']),
      );
    },
    2 * MINUTE,
  );

  it(
    'a validation gives way to a backup and says so; a restore test that cannot begin has its record',
    async () => {
      const worker = await world.startWorker();
      world.writeFiles('source', { 'way/a.txt': 'a' });
      const job = await world.createJob({
        name: 'way',
        source_path: 'way',
        validation_every_days: 7,
        drill_every_days: 7,
      });
      expect((await world.backUp(job)).status).toBe('success');
      worker.kill('SIGTERM');
      await worker.ended();

      const { runId } = await world.client.proofs.startValidation(job);
      await executeHere(world, new BackupError('ERR_YIELDED'));
      expect(await world.client.runs.get(runId)).toMatchObject({
        status: 'cancelled',
        problem: { code: 'ERR_YIELDED' },
      });
      expect(await codesOf(world, runId)).toEqual(
        expect.arrayContaining(['VALIDATION_QUEUED', 'VALIDATION_COMPARED', 'YIELDED']),
      );
      const state = (await world.client.jobs.get(job)).job;
      expect(state).toMatchObject({ validation_last_status: null, validation_last_at: null });
      expect(state.validation_next_at_epoch_ms).toBeLessThan(Date.now() + 2 * 60 * MINUTE);
      await world.client.runs.start(job);

      await world.database.knex('s3_cloudbackup_runs').where({ kind: 'backup', status: 'queued' }).delete();
      const drill = await world.client.proofs.startDrill(job);
      const keys = await world.database.knex('s3_user_access_keys').select('id', 'secret_key');
      await world.database.knex('s3_user_access_keys').update({ secret_key: 'damaged' });
      await executeHere(world);
      for (const { id, secret_key } of keys as { id: number; secret_key: string }[])
        await world.database.knex('s3_user_access_keys').where({ id }).update({ secret_key });
      expect(await world.client.runs.get(drill.runId)).toMatchObject({ status: 'failed' });
      expect((await world.client.proofs.drills({ jobId: job })).rows).toMatchObject([
        { status: 'failed', files: 0, point_id: null, run_id: drill.runId },
      ]);
      expect((await world.client.jobs.get(job)).job).toMatchObject({ drill_last_status: 'failed' });
      const [point] = (await world.database
        .knex('s3_cloudbackup_restore_points')
        .select('holds')
        .orderBy('id', 'desc')) as {
        holds: number;
      }[];
      expect(point?.holds).toBe(0);
    },
    2 * MINUTE,
  );
});
