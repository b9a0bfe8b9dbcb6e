import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RestoreRequest } from '../../src/jobs/client.ts';
import type { RunView } from '../../src/protocol/run.ts';
import { openS3Store } from '../../src/storage/s3.ts';
import { startSshd, type SshServer } from '../servers/sshd.ts';
import { startWorld, type World } from './world.ts';

let world: World;
let sshd: SshServer;

beforeAll(async () => {
  [world, sshd] = await Promise.all([startWorld('sqlite'), startSshd()]);
  await world.startWorker();
}, 120_000);
afterAll(async () => {
  await Promise.all([world.stop(), sshd.stop()]);
}, 60_000);

const pointOf = (run: RunView): string => run.point?.point_id ?? '';

function toBucket(run: RunView, prefix: string, change: Partial<RestoreRequest> = {}): RestoreRequest {
  return {
    from: { pointId: pointOf(run) },
    paths: [],
    target: { kind: 'bucket', bucketId: world.bucketId, prefix },
    overwrite: 'never',
    dryRun: false,
    ...change,
  };
}

async function restore(request: RestoreRequest): Promise<RunView> {
  const { runId } = await world.client.runs.restore(request);
  return await world.waitForRun(runId);
}

const back = (path: string): string => readFileSync(join(world.folder, 'backups', path), 'utf8');

function below(...parts: string[]): string[] {
  const folder = join(world.folder, ...parts);
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return found.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
}

async function reportOf(run: RunView): Promise<unknown[]> {
  const { id } = (await world.database.knex('s3_cloudbackup_runs').where({ uuid: run.run_id }).first('id')) as {
    id: number;
  };
  return await world.database
    .knex('s3_cloudbackup_run_files')
    .where({ run_id: id })
    .whereNot({ kind: 'total' })
    .orderBy('id')
    .select('kind', 'code', 'path');
}

async function until(what: string, test: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = Date.now() + 60_000; !(await test()); await delay(50))
    if (Date.now() > end) throw new Error(`never happened: ${what}`);
}

describe('a restore by a worker into a bucket', () => {
  let run: RunView;
  beforeAll(async () => {
    world.writeFiles('source', {
      'one/a.txt': 'a',
      'one/deep/b.txt': 'bb',
      'one/deep/er/c.txt': 'ccc',
      'one/z': 'zzzz',
    });
    run = await world.backUp(await world.createJob({ name: 'one', source_path: 'one', dest_prefix: 'job-one' }));
  }, 90_000);

  it('brings back what was selected, and shows what it took from where to where', async () => {
    const done = await restore(toBucket(run, 'chosen', { paths: ['deep', 'z'] }));
    expect(done).toMatchObject({
      status: 'success',
      objects_transferred: 3,
      restore: {
        point_id: pointOf(run),
        paths: ['deep', 'z'],
        path_count: 2,
        target: 'bucket',
        target_text: 'backups/chosen/',
        overwrite: 'never',
        dry_run: false,
        counts: { created: 3, overwritten: 0, skipped: 0, exact: 3, size_only: 0, bytes_to_write: 9 },
      },
    });
    expect(below('backups', 'chosen')).toEqual(['deep/b.txt', 'deep/er/c.txt', 'z']);
  }, 60_000);

  it('counts what it would do without doing it, and then leaves or replaces what is there', async () => {
    world.writeFiles('backups', { 'mixed/a.txt': 'mine', 'mixed/other': 'mine' });
    const tried = await restore(toBucket(run, 'mixed', { dryRun: true, overwrite: 'always' }));
    const counts = { created: 3, overwritten: 1, skipped: 0, bytes_to_write: 10, exact: 0 };
    expect(tried).toMatchObject({ status: 'success', objects_transferred: 0, restore: { dry_run: true, counts } });
    expect(below('backups', 'mixed')).toEqual(['a.txt', 'other']);

    const kept = await restore(toBucket(run, 'mixed'));
    expect(kept).toMatchObject({ status: 'success', restore: { counts: { created: 3, skipped: 1, exact: 3 } } });
    expect(await reportOf(kept)).toEqual([{ kind: 'skipped', code: 'FILE_EXISTS', path: 'a.txt' }]);
    expect([back('mixed/a.txt'), back('mixed/z')]).toEqual(['mine', 'zzzz']);

    const newer = await restore(toBucket(run, 'mixed', { overwrite: 'if_newer' }));
    expect(newer).toMatchObject({ restore: { counts: { created: 0, overwritten: 0, skipped: 4 } } });
    const replaced = await restore(toBucket(run, 'mixed', { overwrite: 'always' }));
    expect(replaced).toMatchObject({ status: 'success', restore: { counts: { overwritten: 4, exact: 4 } } });
    expect([back('mixed/a.txt'), back('mixed/other')]).toEqual(['a', 'mine']);
  }, 90_000);

  it('takes the newest point that is not later than a moment', async () => {
    const first = Number(run.point?.created_at_epoch_ms);
    world.writeFiles('source', { 'one/a.txt': 'changed' });
    await delay(5);
    const second = await world.backUp(run.job_id);
    const from = (moment: number): Partial<RestoreRequest> => ({
      from: { jobId: run.job_id, moment },
      paths: ['a.txt'],
    });
    expect(await restore(toBucket(run, 'then', from(first)))).toMatchObject({ restore: { point_id: pointOf(run) } });
    expect(await restore(toBucket(run, 'now', from(Date.now())))).toMatchObject({
      restore: { point_id: pointOf(second) },
    });
    expect([back('then/a.txt'), back('now/a.txt')]).toEqual(['a', 'changed']);
    await expect(world.client.runs.restore(toBucket(run, 'before', from(first - 1)))).rejects.toMatchObject({
      code: 'POINT_NOT_FOUND',
    });
  }, 90_000);

  it('says which path the point does not hold, and writes nothing', async () => {
    const done = await restore(toBucket(run, 'wrong', { paths: ['z', 'no-such-file'] }));
    expect(done).toMatchObject({ status: 'failed', problem: { code: 'INVALID_INPUT' } });
    expect(done.error_summary).toContain('"no-such-file"');
    expect(readdirSync(join(world.folder, 'backups'))).not.toContain('wrong');
  }, 60_000);

  it('is refused into the folder of a job, inside it, above it, and into a bucket of somebody else', async () => {
    for (const prefix of ['job-one', 'job-one/manifests', 'job-one/run_x/deeper']) {
      await expect(world.client.runs.restore(toBucket(run, prefix))).rejects.toMatchObject({
        code: 'ERR_RESTORE_TARGET',
      });
    }
    const theirs = { kind: 'bucket', bucketId: world.bucketId + 1, prefix: 'x' } as const;
    await expect(world.client.runs.restore(toBucket(run, '', { target: theirs }))).rejects.toMatchObject({
      code: 'BUCKET_NOT_FOUND',
    });
    await expect(world.stranger.runs.restore(toBucket(run, 'x'))).rejects.toMatchObject({ code: 'POINT_NOT_FOUND' });
  });

  it('names the files whose objects are missing, and gives the rest', async () => {
    const [object] = below('backups', 'job-one').filter((path) => path.endsWith('files/deep/b.txt'));
    await world.loseObject('job-one/', object ?? '');
    const done = await restore(toBucket(run, 'gaps'));
    expect(done).toMatchObject({ status: 'warning', problem: { code: 'ERR_OBJECT_MISSING' } });
    expect(await reportOf(done)).toEqual([{ kind: 'missing', code: 'ERR_OBJECT_MISSING', path: 'deep/b.txt' }]);
    expect(below('backups', 'gaps')).toEqual(['a.txt', 'deep/er/c.txt', 'z']);
  }, 60_000);
});

describe('a restore back to where the job backs up from', () => {
  const toSource = (run: RunView, change: Partial<RestoreRequest> = {}): RestoreRequest => ({
    ...toBucket(run, ''),
    target: { kind: 'source' },
    ...change,
  });

  it('brings S3 objects back under their own names, and the next backup finds nothing changed', async () => {
    const files = { 'back/a': 'a', 'back/b c/ü': 'bb', 'back/deep/er/-x': 'ccc', 'back/li\nne': 'dddd' };
    world.writeFiles('source', files);
    const job = await world.createJob({ name: 'back', source_path: 'back' });
    const run = await world.backUp(job);
    expect(run).toMatchObject({ status: 'success', point: { files: 4 } });
    await expect(
      world.client.runs.restore(toBucket(run, 'x', { paths: ['../a'], target: { kind: 'source' } })),
    ).rejects.toMatchObject({ code: 'INVALID_INPUT' });

    rmSync(join(world.folder, 'source/back/a'));
    rmSync(join(world.folder, 'source/back/li\nne'));
    writeFileSync(join(world.folder, 'source/back/b c/ü'), 'changed since');
    await seenBySource('back/a', null);
    await seenBySource('back/b c/ü', 13);
    const tried = await restore(toSource(run, { dryRun: true, overwrite: 'always' }));
    expect(tried).toMatchObject({ restore: { target: 'source', counts: { created: 2, overwritten: 2, skipped: 0 } } });
    const missing = await restore(toSource(run));
    expect(missing).toMatchObject({ status: 'success', restore: { counts: { created: 2, skipped: 2, exact: 2 } } });
    expect(readFileSync(join(world.folder, 'source/back/li\nne'), 'utf8')).toBe('dddd');
    expect(readFileSync(join(world.folder, 'source/back/b c/ü'), 'utf8')).toBe('changed since');
    const all = await restore(toSource(run, { overwrite: 'always' }));
    expect(all).toMatchObject({ status: 'success', restore: { counts: { overwritten: 4, exact: 4 } } });
    for (const [path, text] of Object.entries(files))
      expect([path, readFileSync(join(world.folder, 'source', path), 'utf8')]).toEqual([path, text]);
    expect(below('source', 'back')).toHaveLength(4);
    expect(await world.backUp(job)).toMatchObject({ status: 'success', objects_transferred: 0, point: { files: 4 } });
  }, 120_000);

  async function seenBySource(key: string, size: number | null): Promise<void> {
    const store = openS3Store(world.s3.access('source'));
    await until(`the server sees ${key}`, async () => ((await store.head(key))?.size ?? null) === size);
  }

  it('brings files back to an SFTP server with their times, and the next backup finds nothing changed', async () => {
    const folder = join(world.folder, 'over-sftp');
    const at = new Date('2024-02-03T04:05:06Z');
    const files: Record<string, string> = {
      'a.txt': 'a',
      "q'uo te/b": 'bb',
      'deep/er/c': 'ccc',
      [`${'n'.repeat(255)}`]: 'n',
    };
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(folder, path, '..'), { recursive: true });
      writeFileSync(join(folder, path), text);
      utimesSync(join(folder, path), at, at);
    }
    const config = { host: sshd.host, port: sshd.port, user: sshd.user, private_key: sshd.privateKey };
    const job = await world.createJob({
      name: 'sftp',
      source_type: 'sftp',
      source_config: config,
      source_path: folder,
    });
    const run = await world.backUp(job);
    expect(run).toMatchObject({ status: 'success', point: { files: 4 } });
    rmSync(join(folder, 'deep'), { recursive: true });
    rmSync(join(folder, 'a.txt'));
    writeFileSync(join(folder, "q'uo te/b"), 'changed since');

    const newer = await restore(toSource(run, { overwrite: 'if_newer' }));
    // A server that tells no checksums can only be believed the sizes, and that is what is said.
    expect(newer).toMatchObject({
      status: 'warning',
      restore: { counts: { created: 2, skipped: 2, exact: 0, size_only: 2 } },
    });
    expect(await reportOf(newer)).toEqual([
      { kind: 'size_only', code: 'FILE_SIZE_ONLY', path: 'a.txt' },
      { kind: 'size_only', code: 'FILE_SIZE_ONLY', path: 'deep/er/c' },
      { kind: 'skipped', code: 'FILE_NOT_NEWER', path: 'n'.repeat(255) },
      { kind: 'skipped', code: 'FILE_NOT_NEWER', path: "q'uo te/b" },
    ]);
    const all = await restore(toSource(run, { overwrite: 'always' }));
    expect(all).toMatchObject({ restore: { counts: { created: 0, overwritten: 4 } } });
    for (const [path, text] of Object.entries(files)) {
      expect([path, readFileSync(join(folder, path), 'utf8')]).toEqual([path, text]);
      expect(Math.floor(statSync(join(folder, path)).mtimeMs / 1_000)).toBe(at.getTime() / 1_000);
    }
    expect(await world.backUp(job)).toMatchObject({ status: 'success', objects_transferred: 0 });
  }, 120_000);

  it('is refused when the server shows another host key than the pinned one', async () => {
    const folder = join(world.folder, 'other-key');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'f'), 'f');
    const config = { host: sshd.host, port: sshd.port, user: sshd.user, private_key: sshd.privateKey };
    const job = await world.createJob({ name: 'key', source_type: 'sftp', source_config: config, source_path: folder });
    const run = await world.backUp(job);
    const pinned = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVudXNlZHVudXNlZHVudXNlZHVudXNlZHVudXNlZHVu';
    await world.database.knex('s3_cloudbackup_jobs').where({ uuid: job }).update({ source_host_key: pinned });
    rmSync(join(folder, 'f'));
    expect(await restore(toSource(run))).toMatchObject({
      status: 'failed',
      problem: { code: 'ERR_SFTP_HOST_KEY_CHANGED' },
    });
    expect(readdirSync(folder)).toEqual([]);
  }, 60_000);

  describe('that is stopped in the middle', () => {
    let run: RunView;
    beforeAll(async () => {
      world.writeFiles('source', { 'slow/file': Buffer.alloc(4_000_000, 'x') });
      run = await world.backUp(await world.createJob({ name: 'slow', source_path: 'slow' }));
      // From here on it takes a minute. It goes from one bucket to another, so the bytes pass through the worker.
      await world.database.knex('s3_cloudbackup_jobs').where({ uuid: run.job_id }).update({ bandwidth_limit_kbps: 64 });
    }, 90_000);

    async function startSlow(): Promise<string> {
      const { runId } = await world.client.runs.restore(toSource(run, { overwrite: 'always' }));
      await until('it copies', async () => (await world.client.runs.progress(runId)).phase === 'copying');
      return runId;
    }

    it('ends as cancelled when somebody cancels it, and gives its point free', async () => {
      const runId = await startSlow();
      await expect(world.client.runs.restore(toSource(run))).rejects.toMatchObject({ code: 'ERR_RESTORE_TARGET' });
      expect(await world.client.runs.cancel(runId)).toEqual({ status: 'stopping' });
      expect(await world.waitForRun(runId)).toMatchObject({ status: 'cancelled' });
      const holds = await world.database.knex('s3_cloudbackup_holds').where({ run_uuid: runId }).select('id');
      expect(holds).toEqual([]);
    }, 90_000);

    it('fails aloud when its hold on the point is lost', async () => {
      const runId = await startSlow();
      await world.database.knex('s3_cloudbackup_holds').where({ run_uuid: runId }).delete();
      expect(await world.waitForRun(runId)).toMatchObject({ status: 'failed', problem: { code: 'ERR_HOLD_LOST' } });
    }, 90_000);

    it('is taken over when its worker is killed, and another one brings back all of it', async () => {
      world.writeFiles('source', { 'slow/file': 'overwritten by mistake' });
      await seenBySource('slow/file', 22);
      const runId = await startSlow();
      const [killed] = world.workers();
      killed?.kill('SIGKILL');
      await killed?.ended();
      expect(readFileSync(join(world.folder, 'source/slow/file')).length).toBeLessThan(4_000_000);
      await world.database
        .knex('s3_cloudbackup_jobs')
        .where({ uuid: run.job_id })
        .update({ bandwidth_limit_kbps: null });
      await world.startWorker();
      expect(await world.waitForRun(runId)).toMatchObject({
        status: 'success',
        attempt: 1,
        restore: { counts: { overwritten: 1, exact: 1 } },
      });
      expect(readFileSync(join(world.folder, 'source/slow/file')).equals(Buffer.alloc(4_000_000, 'x'))).toBe(true);
    }, 90_000);
  });
});
