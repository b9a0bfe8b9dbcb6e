// Slow (about half a minute): real worker processes, archives on a real S3 server.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { extract } from 'tar-stream';
import type { RunView } from '../../src/protocol/run.ts';
import { runMaintenanceOnce } from '../../src/runs/maintenance.ts';
import { startSshd, type SshServer } from '../servers/sshd.ts';
import { startWorld, type World } from './world.ts';

const MIB = 1024 * 1024;
let world: World;
let sshd: SshServer;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'e3-archives-'));
  chmodSync(folder, 0o755);
  [world, sshd] = await Promise.all([startWorld('sqlite'), startSshd()]);
  await world.startWorker();
}, 120_000);
afterAll(async () => {
  await Promise.all([world.stop(), sshd.stop()]);
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

let seed = 0;
function noise(bytes: number): Buffer {
  seed += 1;
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

const NAMES = [
  'plain.txt',
  '-rf',
  'new\nline.txt',
  'back\\slash.txt',
  'e\u0301.txt',
  'é.txt',
  'per%20cent%2F[1]:.txt',
  'UP',
  'up',
];
const TREE: Record<string, Buffer> = {
  'a/small.txt': Buffer.from('small'),
  'a/empty': Buffer.alloc(0),
  'b/large.bin': noise(21 * MIB),
  'b/larger.txt': Buffer.alloc(12 * MIB, 'text that can be made smaller, '),
};
for (let i = 0; i < 200; i += 1) TREE[`many/${i}.bin`] = noise(10_000 + i);

const archivesOf = (prefix: string): string[] => {
  const found = readdirSync(join(world.folder, 'backups', prefix), { recursive: true, withFileTypes: true });
  const files = found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.filter((path) => /\/run_[^/]+\/[^/]+\//.test(path)).sort();
};

async function archiveJob(name: string, change: Readonly<Record<string, unknown>> = {}): Promise<string> {
  return await world.createJob({ name, backup_mode: 'archive', dest_prefix: name, source_path: name, ...change });
}

const pointOf = (run: RunView): string => run.point?.point_id ?? '';

async function restored(pointId: string, prefix: string): Promise<RunView> {
  const target = { kind: 'bucket', bucketId: world.bucketId, prefix } as const;
  const { runId } = await world.client.runs.restore({
    from: { pointId },
    paths: [],
    target,
    overwrite: 'never',
    dryRun: false,
  });
  return await world.waitForRun(runId);
}

function expectTree(prefix: string, tree: Readonly<Record<string, Buffer>>): void {
  for (const [path, body] of Object.entries(tree))
    expect(readFileSync(join(world.folder, 'backups', prefix, path)).equals(body)).toBe(true);
}

describe.each([
  ['archive', {}],
  ['archive-encrypted', { encryption_enabled: true }],
])('a job that writes archives (%s)', (name, change) => {
  let job: string;
  let run: RunView;
  beforeAll(async () => {
    world.writeFiles(
      'source',
      Object.fromEntries(Object.entries(TREE).map(([path, body]) => [`${name}/${path}`, body])),
    );
    job = await archiveJob(name, change);
    run = await world.backUp(job);
  }, 90_000);

  it('puts one object into the bucket, and nothing else beside the manifest', () => {
    const files = Object.keys(TREE).length;
    expect(run).toMatchObject({ status: 'success', objects_transferred: files, point: { files } });
    expect(archivesOf(name)).toEqual([expect.stringMatching(/archive\.tar\.zst$/)]);
  });

  it('is restored whole into a bucket, and every file compared by checksum', async () => {
    const target = `${name}-back`;
    const back = await restored(pointOf(run), target);
    const files = Object.keys(TREE).length;
    expect(back).toMatchObject({ status: 'success', restore: { counts: { created: files, exact: files } } });
    expectTree(target, TREE);
  }, 90_000);

  it('gives out single files, and some of them as an archive of their own', async () => {
    const request = { pointId: pointOf(run), paths: ['b/large.bin'], format: 'file' } as const;
    const one = await world.client.browse.download(request);
    const signal = new AbortController().signal;
    const body = await buffer(Readable.from(one.body(signal)));
    await one.close();
    expect(body.equals(TREE['b/large.bin'] as Buffer)).toBe(true);
    const many = await world.client.browse.download({ ...request, paths: ['many', 'a'], format: 'tar' });
    const names: string[] = [];
    for await (const member of Readable.from(many.body(signal)).pipe(extract())) {
      names.push(member.header.name);
      expect((await buffer(member)).equals(TREE[member.header.name] as Buffer)).toBe(true);
    }
    await many.close();
    expect(names).toHaveLength(202);
  }, 90_000);

  it('is validated by what can be seen, and proved by a restore test', async () => {
    const validation = await world.waitForRun((await world.client.proofs.startValidation(job)).runId);
    expect(validation.status).toBe('warning');
    expect(await world.client.proofs.fileTotals(validation.run_id)).toMatchObject({
      size_only: Object.keys(TREE).length,
    });
    const drill = await world.waitForRun((await world.client.proofs.startDrill(job)).runId);
    expect(drill).toMatchObject({ status: 'success' });
    const [last] = (await world.client.proofs.drills({ jobId: job })).rows;
    expect(last).toMatchObject({ status: 'success', size_only: 0 });
    expect(last?.exact).toBeGreaterThan(20);
  }, 90_000);

  it('keeps the mode that it was made with', async () => {
    await expect(world.client.jobs.update(job, { backup_mode: 'sync' })).rejects.toMatchObject({
      code: 'LAYOUT_FIXED',
    });
    await world.client.jobs.update(job, { name: `${name} by another name` });
    expect((await world.client.jobs.get(job)).job).toMatchObject({ backup_mode: 'archive' });
  });
});

describe('archives', () => {
  it('of an SFTP server hold files whatever they are called, and GNU tar unpacks them', async () => {
    for (const name of NAMES) {
      mkdirSync(dirname(join(folder, 'files', name)), { recursive: true });
      writeFileSync(join(folder, 'files', name), `content of ${name}`);
    }
    writeFileSync(join(folder, 'files', 'large.bin'), noise(18 * MIB));
    const { host, port, user, privateKey } = sshd;
    const job = await archiveJob('servers', {
      source_type: 'sftp',
      source_path: join(folder, 'files'),
      source_config: { host, port, user, private_key: privateKey },
    });
    const run = await world.backUp(job);
    expect(run).toMatchObject({ status: 'success', objects_total: NAMES.length + 1 });
    const target = join(folder, 'restored');
    expect(world.execute('restore', ['--point', pointOf(run), '--to', target]).status).toBe(0);
    expect(readdirSync(target).sort()).toEqual(readdirSync(join(folder, 'files')).sort());
    for (const name of [...NAMES, 'large.bin'])
      expect(readFileSync(join(target, name)).equals(readFileSync(join(folder, 'files', name)))).toBe(true);
    const [archive = ''] = archivesOf('servers');
    const listed = execFileSync('tar', ['--zstd', '-tf', archive], { encoding: 'utf8' });
    expect(listed.trimEnd().split('\n')).toHaveLength(NAMES.length + 1);
  }, 120_000);

  it('are pruned with the points that they were made for', async () => {
    world.writeFiles('source', { 'pruned/kept.txt': 'one', 'pruned/other.txt': 'other' });
    const job = await archiveJob('pruned', { retention_mode: 'keep_last_n', retention_value: 1 });
    await world.backUp(job);
    const first = archivesOf('pruned');
    await world.backUp(job);
    await maintain(job);
    const left = archivesOf('pruned');
    expect(left).toHaveLength(1);
    expect(left).not.toEqual(first);
  }, 120_000);

  it('of a worker that was killed leave no object; the next claim writes its own', async () => {
    world.writeFiles(
      'source',
      Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`killed/${i}.bin`, noise(20 * MIB)])),
    );
    const job = await archiveJob('killed');
    const { runId } = await world.client.runs.start(job);
    const [worker] = world.workers();
    for (const end = Date.now() + 60_000; ; await delay(10)) {
      const { phase } = (await world.client.runs.progress(runId)) as unknown as { phase?: string };
      if (phase === 'copying') break;
      if (Date.now() > end) throw new Error('it never copied');
    }
    worker?.kill('SIGKILL');
    await worker?.ended();
    await world.startWorker();
    const run = await world.waitForRun(runId);
    expect(run).toMatchObject({ status: 'success', objects_total: 6 });
    expect(archivesOf('killed')).toHaveLength(1);
  }, 120_000);
});

/** One maintenance run, to its end. */
async function maintain(job: string): Promise<void> {
  const jobs = world.database.knex('s3_cloudbackup_jobs');
  await jobs.clone().whereNot('uuid', job).update({ maintenance_at: null });
  await jobs.clone().where('uuid', job).update({ maintenance_at: '2026-01-01 00:00:00.000' });
  await runMaintenanceOnce({
    database: world.database,
    records: { serviceState: () => Promise.resolve('active'), timezone: () => Promise.resolve(null) },
  });
  const { uuid } = (await world.database
    .knex('s3_cloudbackup_runs')
    .where({ job_uuid: job, kind: 'maintenance' })
    .orderBy('id', 'desc')
    .first('uuid')) as { uuid: string };
  await world.waitForRun(uuid);
}
