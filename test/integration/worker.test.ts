import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Dialect } from '../../src/database/connect.ts';
import { startWorld, type WorkerProcess, type World } from './world.ts';

/** Files below a folder, as paths relative to it. */
function filesBelow(folder: string, prefix = ''): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = `${prefix}${entry.name}`;
    return entry.isDirectory() ? filesBelow(join(folder, entry.name), `${path}/`) : [path];
  });
}

async function until(what: string, met: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await delay(50)) if (await met()) return;
  throw new Error(`waited in vain for: ${what}`);
}

/** Processes of rclone that copy into this world's storage. */
function copyingRclones({ s3: { endpoint } }: World): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        if (!readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`DST_ENDPOINT=${endpoint}`)) return false;
        return (
          words[0]?.endsWith('/rclone') === true &&
          words[1] === 'copy' &&
          words.some((word) => word.startsWith('DST:backups/e3-'))
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** A job whose backup takes some seconds: 3 MiB at 512 KiB/s. */
async function slowJob(world: World, bucketFolder: string): Promise<string> {
  world.writeFiles('source', {
    [`${bucketFolder}/large.bin`]: randomBytes(3 * 1024 * 1024),
    [`${bucketFolder}/small.txt`]: 'small',
  });
  return await world.createJob({ name: bucketFolder, source_path: bucketFolder, bandwidth_limit_kbps: 512 });
}

async function startSlow(world: World, folder: string): Promise<string> {
  const { runId } = await world.client.runs.start(await slowJob(world, folder));
  await until(
    'the copy runs',
    async () => (await world.client.runs.progress(runId)).phase === 'copying' && copyingRclones(world).length > 0,
  );
  return runId;
}

describe.each<Dialect>(['sqlite', 'mysql'])('a worker process on %s', (dialect) => {
  let world: World;
  const workers: WorkerProcess[] = [];
  const worker = async (environment: Record<string, string> = {}): Promise<WorkerProcess> => {
    const started = await world.startWorker(environment);
    workers.push(started);
    return started;
  };

  beforeAll(async () => {
    world = await startWorld(dialect);
  }, 120_000);
  afterEach(async () => {
    for (const one of workers.splice(0)) {
      one.kill('SIGKILL');
      await one.ended();
    }
    await until('no transfer outlives its worker', () => copyingRclones(world).length === 0);
  }, 90_000);
  afterAll(async () => await world.stop(), 60_000);

  it('backs up new and changed files only, refers to moved ones, and shows nothing to another customer', async () => {
    await worker();
    world.writeFiles('source', {
      'site/a.txt': 'a',
      'site/b c.txt': 'b'.repeat(5000),
      'site/ü/c.txt': 'c',
      'site/-dash': 'd',
      'site/quo\'te".txt': 'e',
      'site/li\nne.txt': 'f',
    });
    const job = await world.createJob({ name: 'site', source_path: 'site' });
    const first = await world.backUp(job);
    expect(first).toMatchObject({ status: 'success', objects_transferred: 6, point: { files: 6, complete: true } });
    const again = await world.backUp(job);
    expect(again).toMatchObject({
      status: 'success',
      objects_transferred: 0,
      bytes_transferred: 0,
      point: { files: 6, added_bytes: 0 },
    });
    execFileSync('mv', [join(world.folder, 'source/site/b c.txt'), join(world.folder, 'source/site/moved.txt')]);
    world.writeFiles('source', { 'site/a.txt': 'changed', 'site/new.txt': 'new' });
    const third = await world.backUp(job);
    expect(third).toMatchObject({ status: 'success', objects_transferred: 2, point: { files: 7, added_bytes: 10 } });
    await expect(world.stranger.runs.get(third.run_id)).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(world.stranger.jobs.get(job)).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' });
    expect((await world.stranger.jobs.list({ limit: 10 })).rows).toEqual([]);
  }, 120_000);

  it('is killed in the middle of a run, and a second worker finishes it: once, with one more attempt', async () => {
    const victim = await worker();
    const runId = await startSlow(world, 'killed');
    victim.kill('SIGKILL');
    await victim.ended();
    await until('its transfer died with it', () => copyingRclones(world).length === 0);
    await worker();
    const run = await world.waitForRun(runId);
    expect(run).toMatchObject({ status: 'success', attempt: 1, point: { files: 2, complete: true } });
    const rows = await world.database.knex('s3_cloudbackup_restore_points').where({ run_uuid: runId });
    expect(rows).toHaveLength(1);
    const events = (await world.client.runs.events(runId, { sinceId: 0, limit: 1000 })).map(
      (event) => event.message_id,
    );
    expect(events).toContain('RUN_TAKEN_OVER');
    expect(events.filter((id) => id === 'COMPLETED_SUCCESS')).toHaveLength(1);
  }, 120_000);

  it('hands its runs back when it is asked to stop, without using up an attempt', async () => {
    const first = await worker();
    const runId = await startSlow(world, 'handed-back');
    first.kill('SIGTERM');
    expect(await first.ended()).toBe(0);
    expect(await world.client.runs.get(runId)).toMatchObject({ status: 'queued', attempt: 0 });
    await worker();
    expect(await world.waitForRun(runId)).toMatchObject({ status: 'success', attempt: 0 });
  }, 120_000);

  it('stops a run that is cancelled, and makes no point of it', async () => {
    await worker();
    const runId = await startSlow(world, 'cancelled');
    expect(await world.client.runs.cancel(runId)).toEqual({ status: 'stopping' });
    const run = await world.waitForRun(runId);
    expect(run).toMatchObject({ status: 'cancelled', point: null });
    await until('the transfer is gone', () => copyingRclones(world).length === 0);
    await expect(world.client.runs.cancel(runId)).rejects.toMatchObject({ code: 'RUN_NOT_CANCELLABLE' });
  }, 120_000);

  it('tries again when its transfer program is killed from outside', async () => {
    await worker();
    const runId = await startSlow(world, 'rclone-killed');
    for (const pid of copyingRclones(world)) process.kill(pid, 'SIGKILL');
    const queued = await world.waitForRun(runId, (run) => run.attempt === 1);
    expect(queued).toMatchObject({ status: 'queued', attempt: 1 });
    await world.database.knex('s3_cloudbackup_runs').where({ uuid: runId }).update({ not_before: null });
    expect(await world.waitForRun(runId)).toMatchObject({ status: 'success', attempt: 1 });
  }, 120_000);

  it('never shares a run with other workers', async () => {
    await Promise.all([worker(), worker(), worker()]);
    world.writeFiles('source', { 'shared/a': 'a' });
    const jobs = await Promise.all(
      Array.from(
        { length: 9 },
        async (_, index) => await world.createJob({ name: `shared ${index}`, source_path: 'shared' }),
      ),
    );
    const runs = await Promise.all(jobs.map(async (job) => await world.backUp(job)));
    for (const run of runs) {
      expect(run).toMatchObject({ status: 'success', attempt: 0 });
      expect(
        await world.database.knex('s3_cloudbackup_runs').where({ uuid: run.run_id }).select('claim').first(),
      ).toEqual({ claim: 1 });
    }
  }, 120_000);
});

describe('a worker process whose database goes away', () => {
  it('goes on transferring, commits when the database is back, and uses up no attempt', async () => {
    const world = await startWorld('mysql');
    try {
      await world.startWorker();
      const runId = await startSlow(world, 'outage');
      world.test.server?.pause();
      // Longer than lease and margin together: without the watch, a recovered worker would think the run lost.
      await delay(20_000);
      world.test.server?.resume();
      expect(await world.waitForRun(runId)).toMatchObject({ status: 'success', attempt: 0, point: { complete: true } });
    } finally {
      await world.stop();
    }
  }, 180_000);
});

describe('runs that must not succeed', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld('sqlite');
    await world.startWorker();
    world.writeFiles('source', { 'ok/a.txt': 'a' });
  }, 120_000);
  afterAll(async () => await world.stop(), 60_000);

  const access = (): Record<string, string> => {
    const { accessKey, secretKey } = world.s3.access('source');
    return {
      endpoint: world.s3.endpoint,
      region: 'us-east-1',
      bucket: 'source',
      access_key: accessKey,
      secret_key: secretKey,
      provider: 'Rclone',
    };
  };

  it.each<[string, () => Record<string, string>, string]>([
    ['a wrong secret key', () => ({ ...access(), secret_key: 'wrong-secret-key' }), 'ERR_S3_AUTH'],
    ['a wrong access key', () => ({ ...access(), access_key: 'wrong-access-key' }), 'ERR_S3_AUTH'],
    ['a missing bucket', () => ({ ...access(), bucket: 'no-such-bucket' }), 'ERR_S3_BUCKET_NOT_FOUND'],
    ['a refused connection', () => ({ ...access(), endpoint: 'http://127.0.0.1:9' }), 'ERR_CONNECTION_REFUSED'],
  ])(
    'fail with the code of what is wrong: %s',
    async (_what, config, code) => {
      const job = await world.createJob({ name: code, source_config: config(), max_attempts: 1 });
      const run = await world.backUp(job);
      expect(run).toMatchObject({ status: 'failed', problem: { code }, point: null });
      expect(JSON.stringify(run)).not.toContain(access()['secret_key']);
    },
    90_000,
  );

  it('fail on an empty source, unless it is allowed once, which freezes retention', async () => {
    const job = await world.createJob({ name: 'empty', source_path: 'nothing-here', max_attempts: 1 });
    expect(await world.backUp(job)).toMatchObject({ status: 'failed', problem: { code: 'ERR_SOURCE_EMPTY' } });
    expect(await world.backUp(job, { allowEmpty: true })).toMatchObject({ status: 'success', point: { files: 0 } });
    expect(
      await world.database.knex('s3_cloudbackup_jobs').where({ uuid: job }).select('frozen_reason').first(),
    ).toEqual({ frozen_reason: 'empty_source' });
    expect(await world.backUp(job)).toMatchObject({ status: 'failed', problem: { code: 'ERR_SOURCE_EMPTY' } });
  }, 90_000);

  it('write nothing under a prefix whose owner marker is not theirs', async () => {
    const job = await world.createJob({
      name: 'foreign',
      source_path: 'ok',
      dest_prefix: 'foreign-place',
      max_attempts: 1,
    });
    world.writeFiles('backups', { 'foreign-place/e3-owner.json': '{"format":1}' });
    expect(await world.backUp(job)).toMatchObject({ status: 'failed', problem: { code: 'ERR_DEST_NOT_OURS' } });
    expect(filesBelow(join(world.folder, 'backups/foreign-place'))).toEqual(['e3-owner.json']);
  }, 90_000);

  it('stop with ERR_INDEX_STALE when the bucket has lost a manifest, and change nothing', async () => {
    const job = await world.createJob({ name: 'stale', source_path: 'ok', dest_prefix: 'stale', max_attempts: 1 });
    const first = await world.backUp(job);
    expect(first.status).toBe('success');
    const manifests = join(world.folder, 'backups/stale/manifests');
    // Put after the commit, so the run may be over before it is there.
    await until('the point is marked as committed', () => readdirSync(manifests).some((name) => name.endsWith('.ok')));
    const manifest = readdirSync(manifests).find((name) => name.startsWith(first.run_id) && name.endsWith('.json'));
    await world.loseObject('stale/', `manifests/${manifest}`);
    const before = filesBelow(join(world.folder, 'backups/stale'));
    expect(await world.backUp(job)).toMatchObject({ status: 'failed', problem: { code: 'ERR_INDEX_STALE' } });
    expect(filesBelow(join(world.folder, 'backups/stale'))).toEqual(before);
  }, 90_000);

  it('find their way back by reindexing: what the bucket has lost goes, what it holds comes', async () => {
    const job = await world.createJob({
      name: 'reindexed',
      source_path: 'ok',
      dest_prefix: 'reindexed',
      max_attempts: 1,
    });
    const kept = await world.backUp(job);
    const forgotten = await world.backUp(job);
    expect([kept.status, forgotten.status]).toEqual(['success', 'success']);
    // As if an older copy of the database had been restored: it knows neither the second run nor its point.
    const { id } = (await world.database
      .knex('s3_cloudbackup_runs')
      .where({ uuid: forgotten.run_id })
      .select('id')
      .first()) as { id: number };
    await world.database.knex('s3_cloudbackup_restore_points').where({ run_id: id }).delete();
    await world.database.knex('s3_cloudbackup_outbox').where({ run_id: id }).delete();
    await world.database.knex('s3_cloudbackup_runs').where({ id }).delete();
    expect(await world.backUp(job)).toMatchObject({ status: 'failed', problem: { code: 'ERR_INDEX_STALE' } });

    const told = world.execute('reindex', [job]);
    expect(told).toMatchObject({ status: 0 });
    expect(told.stdout).toContain('2 restore points, 0 lost');
    expect(await world.client.runs.get(forgotten.run_id)).toMatchObject({ status: 'success', point: { files: 1 } });
    expect(await world.backUp(job)).toMatchObject({ status: 'success', objects_transferred: 0 });
  }, 90_000);

  it('take a prefix over when an operator adopts it, and only then', async () => {
    const job = await world.createJob({ name: 'adopted', source_path: 'ok', dest_prefix: 'adopted', max_attempts: 1 });
    expect((await world.backUp(job)).status).toBe('success');
    const elsewhere = { CLOUD_BACKUP_INSTALLATION_NAME: 'another installation' };
    expect(world.execute('adopt', [job], elsewhere).stdout).toContain('would be adopted');
    expect(await world.backUp(job)).toMatchObject({ status: 'success' });
    expect(world.execute('adopt', [job, '--yes'], elsewhere).stdout).toContain('installation integration');
    expect(await world.backUp(job)).toMatchObject({ status: 'failed', problem: { code: 'ERR_DEST_NOT_OURS' } });
    expect(world.execute('adopt', ['--all', '--yes']).status).toBe(0);
    expect(await world.backUp(job)).toMatchObject({ status: 'success' });
    expect(
      await world.database
        .knex('s3_cloudbackup_audit')
        .where({ action: 'prefix.adopted', target_id: job })
        .pluck('actor_kind'),
    ).toEqual(['operator', 'operator']);
  }, 90_000);

  it('are given back whole: to a folder by an operator, to another prefix by the customer', async () => {
    world.writeFiles('source', { 'given/a.txt': 'first', 'given/deep/b.txt': 'second', 'given/deep/li\nne': 'third' });
    const job = await world.createJob({ name: 'given', source_path: 'given', dest_prefix: 'given', max_attempts: 1 });
    const run = await world.backUp(job);
    const target = join(world.runFolder, '../restored');
    expect(world.execute('restore', ['--run', run.run_id, '--to', target])).toMatchObject({ status: 0 });
    expect(filesBelow(target).sort()).toEqual(['a.txt', 'deep/b.txt', 'deep/li\u240ane'].sort());
    expect(readFileSync(join(target, 'deep/b.txt'), 'utf8')).toBe('second');
    expect(world.execute('restore', ['--run', run.run_id, '--to', target])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('ERR_RESTORE_TARGET') as unknown as string,
    });

    const again = ['--run', run.run_id, '--to', target, '--path', 'deep', '--path', 'a.txt', '--json'];
    const tried = world.execute('restore', [...again, '--overwrite', 'always', '--dry-run']);
    expect(tried).toMatchObject({ status: 0, stdout: expect.stringContaining('Nothing was written') as unknown });
    const counts = JSON.parse(tried.stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
    expect(counts).toMatchObject({ created: 0, overwritten: 3, skipped: 0, dryRun: true });
    execFileSync('rm', [join(target, 'deep/b.txt')]);
    const kept = world.execute('restore', [...again, '--overwrite', 'never']);
    expect(kept.stdout).toContain('1 new, 0 overwritten, 2 left as they are');
    expect(readFileSync(join(target, 'deep/b.txt'), 'utf8')).toBe('second');
    const moment = ['--job', job, '--moment', new Date().toISOString(), '--to', join(target, '../other')];
    expect(world.execute('restore', moment)).toMatchObject({ status: 0 });
    for (const [wrong, code] of [
      [['--run', run.run_id, '--to', '/proc/e3/restored'], 'ERR_RESTORE_TARGET'],
      [['--run', run.run_id, '--to', join(target, '../third'), '--path', '../up'], 'INVALID_INPUT'],
      [['--run', run.run_id, '--to', target, '--overwrite', 'sometimes'], 'ERR_USAGE'],
    ] as const)
      expect(world.execute('restore', wrong).stderr).toContain(code);

    const { runId } = await world.client.runs.restore({
      from: { pointId: run.point?.point_id ?? '' },
      target: { kind: 'bucket', bucketId: world.bucketId, prefix: 'back/' },
      paths: ['deep'],
      overwrite: 'never',
      dryRun: false,
    });
    expect(await world.waitForRun(runId)).toMatchObject({ status: 'success', objects_transferred: 2 });
    expect(readFileSync(join(world.folder, 'backups/back/deep/b.txt'), 'utf8')).toBe('second');
    expect(filesBelow(join(world.folder, 'backups/back'))).toHaveLength(2);
  }, 90_000);

  it('need nothing that the doctor does not look at', () => {
    const well = world.execute('worker', ['--check']);
    expect(well.stdout.split('\n').filter((line) => line.startsWith('FAIL'))).toEqual([]);
    expect(well.status).toBe(0);
    const ill = world.execute('worker', ['--check'], {
      CLOUD_BACKUP_RCLONE_RUN_DIR: '/dev/null/runs',
      CLOUD_BACKUP_ENCRYPTION_KEY: '',
    });
    expect(ill.status).toBe(1);
    expect(ill.stdout).toMatch(/FAIL encryption key .*\n.*→ Set CLOUD_BACKUP_ENCRYPTION_KEY/);
    expect(ill.stdout).toMatch(/FAIL run folder/);
  });

  it('fail with a clear code when the stored credentials are damaged or sealed with an unknown key', async () => {
    const job = await world.createJob({ name: 'sealed', source_path: 'ok', max_attempts: 1 });
    for (const value of ['v2:00000000:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'damaged']) {
      await world.database.knex('s3_cloudbackup_jobs').where({ uuid: job }).update({ source_config_enc: value });
      expect(await world.backUp(job)).toMatchObject({
        status: 'failed',
        problem: { code: 'ERR_DECRYPT_SOURCE_CONFIG' },
      });
    }
  }, 90_000);

  it('leave no credentials and no folder of a run behind', () => {
    expect(readdirSync(world.runFolder)).toEqual([]);
    const worker = world
      .workers()
      .map((one) => one.log())
      .join('\n');
    expect(worker).not.toContain(access()['secret_key']);
  });
});
