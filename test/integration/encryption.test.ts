import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { toolPath } from '../../src/engines/tools.ts';
import type { RestoreRequest } from '../../src/jobs/client.ts';
import type { RunView } from '../../src/protocol/run.ts';
import { openS3Store } from '../../src/storage/s3.ts';
import { startSshd, type SshServer } from '../servers/sshd.ts';
import { startWorld, type World } from './world.ts';

let world: World;
let sshd: SshServer;
let folder: string;
const large = randomBytes(300_000);

beforeAll(async () => {
  // On MariaDB, so that the worker and the reindex have the rights of deploy/mariadb-grants.sql and no others.
  [world, sshd] = await Promise.all([startWorld('mysql'), startSshd()]);
  folder = mkdtempSync(join(tmpdir(), 'e3-encryption-'));
  await world.startWorker();
}, 120_000);
afterAll(async () => {
  await Promise.all([world.stop(), sshd.stop()]);
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

function filesBelow(root: string): Map<string, Buffer> {
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name));
  return new Map(paths.map((path): [string, Buffer] => [path.slice(root.length + 1), readFileSync(path)]).sort());
}

const source = (path = ''): string => join(world.folder, 'source', path);
const backups = (path: string): string => join(world.folder, 'backups', path);

async function restore(run: RunView, change: Partial<RestoreRequest>): Promise<RunView> {
  const { runId } = await world.client.runs.restore({
    from: { pointId: run.point?.point_id ?? '' },
    paths: [],
    target: { kind: 'bucket', bucketId: world.bucketId, prefix: 'restored' },
    overwrite: 'never',
    dryRun: false,
    ...change,
  });
  return await world.waitForRun(runId);
}

async function messages(run: RunView): Promise<string[]> {
  return (await world.client.runs.events(run.run_id, { sinceId: 0, limit: 1000 })).map(({ message_id: id }) => id);
}

describe('an encrypted job of a bucket', () => {
  let job: string;
  let run: RunView;
  beforeAll(async () => {
    world.writeFiles('source', {
      'shop/readme.txt': 'the plain words',
      'shop/empty': '',
      'shop/deep/er/large.bin': large,
      'shop/back\\slash "quoted"': 'odd',
      'shop/ü/日本': 'words',
    });
    job = await world.createJob({ name: 'Shop', source_path: 'shop', dest_prefix: 'sealed', encryption_enabled: true });
    run = await world.backUp(job);
  }, 90_000);

  it('uploads nothing that can be read', () => {
    expect(run).toMatchObject({ status: 'success', objects_transferred: 5, point: { files: 5, complete: true } });
    const objects = filesBelow(backups('sealed'));
    expect(objects.has('e3-keys.json')).toBe(true);
    for (const [key, body] of objects) {
      expect(key).not.toMatch(/shop|readme|large|deep|slash|日本/);
      expect([
        key,
        body.includes('the plain words') || body.includes('readme') || body.includes(large.subarray(0, 64)),
      ]).toEqual([key, false]);
    }
  });

  it('copies what is new or changed, and refers to what moved', async () => {
    renameSync(source('shop/readme.txt'), source('shop/moved.txt'));
    world.writeFiles('source', { 'shop/new': 'new', 'shop/empty': 'not any more' });
    run = await world.backUp(job);
    expect(run).toMatchObject({ status: 'success', objects_transferred: 2, point: { files: 6, complete: true } });
  }, 60_000);

  it('comes back to a bucket and to its source, every byte compared by checksum', async () => {
    const done = await restore(run, {});
    expect(done).toMatchObject({ status: 'success', restore: { counts: { created: 6, exact: 6, size_only: 0 } } });
    const expected = filesBelow(source('shop'));
    const restored = filesBelow(backups('restored'));
    expect([...restored.values()].map((body) => body.toString('hex')).sort()).toEqual(
      [...expected.values()].map((body) => body.toString('hex')).sort(),
    );
    const target = join(folder, 'local');
    expect(world.execute('restore', ['--point', run.point?.point_id ?? '', '--to', target]).status).toBe(0);
    expect(readFileSync(join(target, 'back\\slash "quoted"'), 'utf8')).toBe('odd');
    expect(filesBelow(target).size).toBe(6);
    rmSync(source('shop/deep'), { recursive: true });
    const back = await restore(run, { target: { kind: 'source' }, paths: ['deep'] });
    expect(back).toMatchObject({ status: 'success', restore: { counts: { created: 1, exact: 1 } } });
    expect(readFileSync(source('shop/deep/er/large.bin')).equals(large)).toBe(true);
  }, 90_000);

  it('is browsed, and downloaded from, in the portal', async () => {
    const pointId = run.point?.point_id ?? '';
    const { files } = await world.client.browse.folder({ pointId, folder: 'deep/er', limit: 10 });
    expect(files).toMatchObject([{ name: 'large.bin', size: large.length }]);
    const file = await world.client.browse.download({ pointId, paths: ['deep/er/large.bin'], format: 'file' });
    const body = await buffer(file.body(new AbortController().signal));
    await file.close();
    expect(body.equals(large)).toBe(true);
    const zip = await world.client.browse.download({ pointId, paths: [], format: 'tar' });
    writeFileSync(join(folder, 'all.tar'), await buffer(zip.body(new AbortController().signal)));
    await zip.close();
    mkdirSync(join(folder, 'all'));
    execFileSync('tar', ['-xf', join(folder, 'all.tar'), '-C', join(folder, 'all')]);
    expect(readFileSync(join(folder, 'all/moved.txt'), 'utf8')).toBe('the plain words');
    // And the report, which says that a name was changed for the archive.
    const names = [...filesBelow(source('shop')).keys()].map((name) => name.replaceAll('\\', '＼'));
    expect([...filesBelow(join(folder, 'all')).keys()].sort()).toEqual(['RESTORE-REPORT.txt', ...names].sort());
  }, 60_000);

  it('is validated by size, which is all that can be seen, and proved by a restore test', async () => {
    const { runId } = await world.client.proofs.startValidation(job);
    const validated = await world.waitForRun(runId);
    expect(validated.status).toBe('warning');
    expect(await messages(validated)).toContain('VALIDATION_UNVERIFIED');
    const drilled = await world.waitForRun((await world.client.proofs.startDrill(job)).runId);
    expect(drilled.status).toBe('success');
  }, 60_000);

  it('tells an object that was changed in its bucket, and restores all others', async () => {
    const prefix = `sealed/run_${run.run_id}/`;
    const store = openS3Store(world.s3.access('backups'));
    for await (const { key, size } of store.list(prefix)) await store.put(key, randomBytes(size));
    const drilled = await world.waitForRun((await world.client.proofs.startDrill(job)).runId);
    expect(drilled).toMatchObject({ status: 'failed', problem: { code: 'ERR_DRILL_FAILED' } });
    const done = await restore(run, { target: { kind: 'bucket', bucketId: world.bucketId, prefix: 'damaged' } });
    expect(done).toMatchObject({ status: 'failed', problem: { code: 'ERR_RESTORE_MISMATCH' } });
    expect([...filesBelow(backups('damaged')).values()].some((body) => body.equals(large))).toBe(true);
    // Damaged copies are made anew by the next run.
    run = await world.backUp(job);
    expect(run).toMatchObject({ status: 'success', objects_transferred: 2 });
  }, 90_000);

  it('stops when the database has lost its keys, until a reindex takes them from the bucket', async () => {
    const keys = world.database.knex('s3_cloudbackup_keys').where({ owner_uuid: job });
    const [before] = (await keys
      .clone()
      .select('uuid', 'client_id', 'purpose', 'key_version', 'value_enc')) as unknown[];
    await keys.clone().delete();
    expect(await world.backUp(job)).toMatchObject({ status: 'failed', problem: { code: 'ERR_CRYPT_KEYS_MISSING' } });
    await world.database.knex('s3_cloudbackup_jobs').where({ uuid: job }).update({ encryption_enabled: 0 });
    expect(await world.backUp(job)).toMatchObject({ status: 'failed', problem: { code: 'ERR_CRYPT_KEYS_OTHER' } });
    const reindexed = world.execute('reindex', [job]);
    expect([reindexed.stderr, reindexed.status]).toEqual(['', 0]);
    expect(await keys.clone().select('uuid', 'client_id', 'purpose', 'key_version', 'value_enc')).toEqual([before]);
    expect((await world.client.jobs.get(job)).job.encryption_enabled).toBe(true);
    run = await world.backUp(job);
    expect(run).toMatchObject({ status: 'success', objects_transferred: 0, point: { files: 6 } });
  }, 90_000);

  it('has its newest point again after an older copy of the database came back, by the rights of the worker', async () => {
    const points = world.database.knex('s3_cloudbackup_restore_points').where({ run_uuid: run.run_id });
    await points.clone().delete();
    const reindexed = world.execute('reindex', [job]);
    expect([reindexed.stderr, reindexed.status]).toEqual(['', 0]);
    const again = await world.client.runs.get(run.run_id);
    expect(again.point).toMatchObject({ files: 6, complete: true });
    run = again;
  }, 60_000);

  it('is restored by the recovery kit alone, without anything of this package', async () => {
    const kit = await world.client.recovery.kit(job, 'Shop');
    writeFileSync(join(folder, 'kit.zip'), await buffer(kit.body(new AbortController().signal)));
    execFileSync('unzip', ['-qo', 'kit.zip', '-d', 'kit'], { cwd: folder });
    mkdirSync(join(folder, 'bin'));
    symlinkSync(toolPath('rclone'), join(folder, 'bin', 'rclone'));
    const access = world.s3.access('backups');
    const configuration = readFileSync(join(folder, 'kit/rclone.conf'), 'utf8')
      .replace('access_key_id =', `access_key_id = ${access.accessKey}`)
      .replace('secret_access_key =', `secret_access_key = ${access.secretKey}`);
    writeFileSync(join(folder, 'kit/rclone.conf'), configuration);
    const command = /^ +python3 (.+ newest restored sealed)$/m.exec(
      readFileSync(join(folder, 'kit/README.txt'), 'utf8'),
    )?.[1];
    execFileSync('sh', ['-c', `python3 ${command}`], {
      cwd: join(folder, 'kit'),
      env: {
        PATH: [join(folder, 'bin'), process.env['PATH']].join(delimiter),
        HOME: folder,
        LC_ALL: 'C.UTF-8',
        RCLONE_CONFIG: join(folder, 'kit/rclone.conf'),
      },
    });
    const bodies = (files: Map<string, Buffer>): string[] =>
      [...files.values()].map((body) => body.toString('hex')).sort();
    expect(bodies(filesBelow(join(folder, 'kit/restored')))).toEqual(bodies(filesBelow(source('shop'))));
    expect(readFileSync(join(folder, 'kit/restored/back\\slash "quoted"'), 'utf8')).toBe('odd');
  }, 60_000);
});

describe('an encrypted job of an SFTP server', () => {
  it('records no checksums where the server tells none, and comes back all the same', async () => {
    mkdirSync(join(folder, 'data/sub'), { recursive: true });
    writeFileSync(join(folder, 'data/sub/file'), large);
    writeFileSync(join(folder, 'data/small'), 'small');
    const job = await world.createJob({
      name: 'Server',
      source_type: 'sftp',
      source_config: { host: sshd.host, port: sshd.port, user: sshd.user, private_key: sshd.privateKey },
      source_path: join(folder, 'data'),
      dest_prefix: 'server',
      encryption_enabled: true,
    });
    const run = await world.backUp(job);
    expect(run).toMatchObject({ status: 'success', objects_transferred: 2 });
    expect(await world.backUp(job)).toMatchObject({ status: 'success', objects_transferred: 0 });
    const done = await restore(run, { target: { kind: 'bucket', bucketId: world.bucketId, prefix: 'from-server' } });
    expect(done).toMatchObject({ status: 'warning', restore: { counts: { created: 2, size_only: 2 } } });
    expect(readFileSync(backups('from-server/sub/file')).equals(large)).toBe(true);
    const drilled = await world.waitForRun((await world.client.proofs.startDrill(job)).runId);
    expect(drilled.status).toBe('success');
  }, 90_000);
});
