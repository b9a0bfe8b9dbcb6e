// Buckets that their owner gave rules of their own, on a real Ceph: versions, object lock, a policy against deleting, a quota.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobBucket } from '../../src/backup/job-bucket.ts';
import { prune } from '../../src/backup/prune.ts';
import type { PruneReport } from '../../src/backup/prune-ledger.ts';
import { rcloneEngine } from '../../src/engines/rclone/engine.ts';
import { toolPath, toolVersions } from '../../src/engines/tools.ts';
import { fileKey } from '../../src/layout/keys.ts';
import { BucketTarget, destinationNames } from '../../src/restore/bucket-target.ts';
import { rcloneBulk } from '../../src/restore/rclone-bulk.ts';
import { verdictOf } from '../../src/restore/outcome.ts';
import type { RestoreReport } from '../../src/restore/report.ts';
import { restorePoint } from '../../src/restore/restore-point.ts';
import { parseSource, remoteOf } from '../../src/sources/registry.ts';
import { readBody, S3Connection } from '../../src/storage/s3/connection.ts';
import { ensureBucket, openS3Store } from '../../src/storage/s3.ts';
import { KEYS, OWNER, TestJob, type RunRecord } from '../backup/job.ts';
import { ModelPruneLedger } from '../model/prune-ledger.ts';
import { startCeph, type CephServer } from '../servers/ceph.ts';

const BINARY = { path: toolPath('rclone'), version: toolVersions(['rclone'])[0]?.version ?? '' };
const FILES = 30;

let server: CephServer;
let base: string;

beforeAll(async () => {
  server = await startCeph();
  base = mkdtempSync(join(tmpdir(), 'e3-bucket-rules-'));
  await ensureBucket(server.access('source'));
}, 150_000);
afterAll(async () => {
  await server?.stop();
  rmSync(base, { recursive: true, force: true });
});

const folder = (): string => mkdtempSync(join(base, 'work-'));

/** What a bucket's owner sends to set it up. */
async function set(bucket: string, query: Record<string, string>, xml: string, headers = {}): Promise<void> {
  const body = Buffer.from(xml);
  const md5 = { 'content-md5': createHash('md5').update(body).digest('base64') };
  await new S3Connection(server.access(bucket)).send(
    { method: 'PUT', query, headers: { ...md5, ...headers }, body },
    readBody,
  );
}

const store = (bucket: string): ReturnType<typeof openS3Store> => openS3Store(server.access(bucket));

/** A backup as a worker makes it, by rclone. */
async function backUp(job: TestJob, bucket: string): Promise<RunRecord> {
  const { endpoint, region, accessKey, secretKey, provider } = server.access('source');
  const config = { endpoint, region, bucket: 'source', access_key: accessKey, secret_key: secretKey, provider };
  const engine = rcloneEngine({
    binary: BINARY,
    source: remoteOf(parseSource({ type: 's3_compatible', config, path: '' })),
    hostKey: null,
    destination: server.access(bucket),
    workFolder: folder(),
    transfers: 4,
    statsSeconds: 1,
    bandwidth: 0,
  });
  job.database.tables.frozen = false;
  return await job.run({ store: store(bucket), engine });
}

/** Two points of which the older one may go; the one file that changed is `changing`. */
async function twoPoints(bucket: string): Promise<{ job: TestJob; points: [RunRecord, RunRecord] }> {
  const source = store('source');
  const job = new TestJob();
  for (let i = 0; i < FILES; i += 1) await source.put(`file ${i}`, Buffer.from(`content ${i}`));
  await source.put('changing', Buffer.from(`first in ${bucket}`));
  const first = await backUp(job, bucket);
  await source.put('changing', Buffer.from(`second in ${bucket}, longer`));
  const second = await backUp(job, bucket);
  job.database.tables.policy = { mode: 'keep_last_n', count: 1 };
  return { job, points: [first, second] };
}

async function pruned(job: TestJob, bucket: string): Promise<PruneReport> {
  const owned = job.database.beginPrune();
  try {
    return await prune({
      job: { uuid: job.uuid, prefix: job.prefix },
      wholeData: false,
      owner: OWNER,
      store: store(bucket),
      ledger: new ModelPruneLedger(job.database, owned, () => Date.now()),
      keys: KEYS,
      workFolder: folder(),
    });
  } finally {
    owned.over = true;
  }
}

async function restore(job: TestJob, from: RunRecord, place: { from: string; to: string }): Promise<RestoreReport> {
  const signal = new AbortController().signal;
  const to = { access: server.access(place.to), prefix: 'restored/' };
  return await restorePoint({
    source: { bucket: new JobBucket(store(place.from), job.prefix, signal), job: job.uuid, keys: KEYS },
    place: from.point,
    manifestSha256: from.point.manifestSha256,
    target: new BucketTarget({
      store: store(place.to),
      prefix: to.prefix,
      names: destinationNames,
      protectedPrefixes: [job.prefix],
      bulk: rcloneBulk({
        binary: BINARY,
        from: server.access(place.from),
        to,
        workFolder: folder(),
        transfers: 4,
        bandwidth: 0,
      }),
    }),
    space: { folder: folder(), memoryItems: 1_000 },
    signal,
  });
}

interface Version {
  readonly id: string;
  readonly marker: boolean;
}

async function versionsOf(bucket: string, key: string): Promise<Version[]> {
  const query = { versions: '', prefix: key };
  const xml = String(await new S3Connection(server.access(bucket)).send({ method: 'GET', query }, readBody));
  return [...xml.matchAll(/<(Version|DeleteMarker)>.*?<VersionId>([^<]*)<\/VersionId>/gs)].map((match) => ({
    id: match[2] ?? '',
    marker: match[1] === 'DeleteMarker',
  }));
}

describe('a bucket that keeps versions', () => {
  it('is backed up to, pruned and restored from; that bytes come back only later is said', async () => {
    await ensureBucket(server.access('versioned'));
    await set(
      'versioned',
      { versioning: '' },
      '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>',
    );
    const { job, points } = await twoPoints('versioned');
    expect(await pruned(job, 'versioned')).toMatchObject({ pruned: 1, versioned: true, freed: { objects: 1 } });
    const gone = job.prefix + fileKey(points[0].point.run, points[0].point.claim, 'changing');
    expect(await store('versioned').head(gone)).toBeNull();
    expect((await versionsOf('versioned', gone)).map(({ marker }) => marker).sort()).toEqual([false, true]);
    const report = await restore(job, points[1], { from: 'versioned', to: 'versioned' });
    expect(report).toMatchObject({ exact: FILES + 1, problemCount: 0 });
  }, 120_000);
});

describe('a bucket with object lock', () => {
  it('takes backups, lets nobody remove what it keeps, and gives every point back', async () => {
    await set('locked', {}, '', { 'x-amz-bucket-object-lock-enabled': 'true' });
    const rule = '<Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule>';
    await set(
      'locked',
      { 'object-lock': '' },
      `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>${rule}</ObjectLockConfiguration>`,
    );
    const { job, points } = await twoPoints('locked');
    expect(await pruned(job, 'locked')).toMatchObject({ pruned: 1, versioned: true, freed: { objects: 1 } });
    const gone = job.prefix + fileKey(points[0].point.run, points[0].point.claim, 'changing');
    const kept = (await versionsOf('locked', gone)).find(({ marker }) => !marker);
    const connection = new S3Connection(server.access('locked'));
    const query = { versionId: kept?.id ?? '' };
    await expect(connection.send({ method: 'DELETE', key: gone, query }, readBody)).rejects.toMatchObject({
      status: 403,
    });
    const report = await restore(job, points[1], { from: 'locked', to: 'locked' });
    expect(report).toMatchObject({ exact: FILES + 1, problemCount: 0 });
    // A second prune meets delete markers and locked versions, and has nothing to do.
    expect(await pruned(job, 'locked')).toMatchObject({ pruned: 0, freed: { objects: 0 } });
  }, 120_000);
});

describe('a bucket whose policy forbids deleting', () => {
  it('ends a prune with the code that says so and every point as it was; the next one goes on when it may', async () => {
    await ensureBucket(server.access('guarded'));
    const { job, points } = await twoPoints('guarded');
    const statement = {
      Effect: 'Deny',
      Principal: '*',
      Action: ['s3:DeleteObject'],
      Resource: ['arn:aws:s3:::guarded/*'],
    };
    await set('guarded', { policy: '' }, JSON.stringify({ Version: '2012-10-17', Statement: [statement] }));
    await expect(pruned(job, 'guarded')).rejects.toMatchObject({ code: 'ERR_DELETE_REFUSED' });
    for (const point of points) {
      const report = await restore(job, point, { from: 'guarded', to: 'source' });
      expect(report).toMatchObject({ problemCount: 0 });
      for await (const { key } of store('source').list('restored/'))
        await new S3Connection(server.access('source')).send({ method: 'DELETE', key }, readBody);
    }
    await new S3Connection(server.access('guarded')).send({ method: 'DELETE', query: { policy: '' } }, readBody);
    expect(await pruned(job, 'guarded')).toMatchObject({ pruned: 1, freed: { objects: 1 } });
  }, 120_000);
});

describe('a bucket that is full', () => {
  it('ends a restore into it with the code that says so', async () => {
    await ensureBucket(server.access('roomy'));
    await ensureBucket(server.access('full'));
    await server.admin('quota', 'set', '--quota-scope=bucket', '--bucket=full', '--max-objects=5');
    await server.admin('quota', 'enable', '--quota-scope=bucket', '--bucket=full');
    const { job, points } = await twoPoints('roomy');
    const ended = restore(job, points[1], { from: 'roomy', to: 'full' });
    const verdict = await ended.then(verdictOf, (error: unknown) => ({ status: 'failed', error }));
    expect(verdict).toMatchObject({ status: 'failed', error: { code: 'ERR_QUOTA' } });
  }, 120_000);

  it('ends a backup to it in the same way, without a point', async () => {
    const job = new TestJob({ prefix: 'backups/' });
    await expect(backUp(job, 'full')).rejects.toMatchObject({ code: 'ERR_QUOTA' });
    expect(job.database.tables.points).toEqual([]);
  }, 60_000);
});
