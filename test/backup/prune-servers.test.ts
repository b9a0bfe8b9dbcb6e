import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prune } from '../../src/backup/prune.ts';
import type { PruneReport } from '../../src/backup/prune-ledger.ts';
import { fileKey } from '../../src/layout/keys.ts';
import type { BucketAccess, ObjectStore } from '../../src/storage/port.ts';
import { readBody, S3Connection } from '../../src/storage/s3/connection.ts';
import { ensureBucket, openS3Store } from '../../src/storage/s3.ts';
import { ModelPruneLedger } from '../model/prune-ledger.ts';
import { startRcloneS3, type S3Server } from '../servers/rclone-serve.ts';
import { startSeaweedFs } from '../servers/seaweedfs.ts';
import { KEYS, OWNER, TestJob } from './job.ts';

// More than fit into one request.
const FILES = 1_100;

describe.each<[string, () => Promise<S3Server>]>([
  ['rclone serve s3', startRcloneS3],
  ['SeaweedFS', startSeaweedFs],
])('a prune on %s', (_name, start) => {
  let server: S3Server;
  let folder: string;

  beforeAll(async () => {
    server = await start();
    folder = await mkdtemp(join(tmpdir(), 'e3-prune-servers-'));
  }, 90_000);
  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function pruned(job: TestJob, store: ObjectStore, wholeData = false): Promise<PruneReport> {
    const owned = job.database.beginPrune();
    const ledger = new ModelPruneLedger(job.database, owned, () => Date.now());
    const { uuid, prefix } = job;
    try {
      return await prune({
        job: { uuid, prefix },
        wholeData,
        owner: OWNER,
        store,
        ledger,
        keys: KEYS,
        workFolder: folder,
      });
    } finally {
      owned.over = true;
    }
  }

  it('deletes the files of a point that goes, keeps those that another one needs, then all of the job', async () => {
    const access = server.access('pruned');
    await ensureBucket(access);
    const store = openS3Store(access);
    const job = new TestJob();
    for (const name of ['stays', 'with space', 'plus+sign', '日本/é', 'back\\slash', 'a␊b', "quo'te"])
      job.source.write(name, name);
    for (let i = 0; i < FILES; i += 1) job.source.write(`gone/${i}`, `file ${i}`);
    const first = await job.run({ store });
    for (let i = 0; i < FILES; i += 1) job.source.set(`gone/${i}`, null);
    job.database.tables.frozen = false;
    await job.run({ store });
    await store.put(`${job.prefix}notes.txt`, Buffer.from('not ours'));
    job.database.tables.frozen = false;
    job.database.tables.policy = { mode: 'keep_last_n', count: 1 };

    expect(await pruned(job, store)).toMatchObject({ pruned: 1, freed: { objects: FILES } });
    const left = await keysOf(store, `${job.prefix}run_`);
    expect(left).toHaveLength(7);
    for (const name of ['stays', 'with space']) {
      expect(String(await store.get(job.prefix + fileKey(first.point.run, first.point.claim, name)))).toBe(name);
    }
    job.database.tables.dataState = 'deleting';
    expect(await pruned(job, store, true)).toMatchObject({ pruned: 1, emptied: true, foreign: 1 });
    expect(await keysOf(store, '')).toEqual([`${job.prefix}notes.txt`]);
  }, 180_000);
});

describe('a prune of a bucket that keeps versions', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startSeaweedFs();
  }, 90_000);
  afterAll(async () => await server?.stop());

  it('says that the bytes come back only when the versions expire', async () => {
    const access = server.access('versioned');
    await ensureBucket(access);
    await keepVersions(access);
    const store = openS3Store(access);
    expect(await store.versioning()).toBe('on');
    const job = new TestJob();
    job.source.write('file', 'one');
    await job.run({ store });
    job.source.write('file', 'other');
    await job.run({ store });
    job.database.tables.policy = { mode: 'keep_last_n', count: 1 };
    const owned = job.database.beginPrune();
    const folder = await mkdtemp(join(tmpdir(), 'e3-prune-versions-'));
    const report = await prune({
      job: { uuid: job.uuid, prefix: job.prefix },
      wholeData: false,
      owner: OWNER,
      store,
      ledger: new ModelPruneLedger(job.database, owned, () => Date.now()),
      keys: KEYS,
      workFolder: folder,
    });
    await rm(folder, { recursive: true, force: true });
    expect(report).toMatchObject({ pruned: 1, versioned: true, freed: { objects: 1, bytes: 3 } });
    expect(await keysOf(store, `${job.prefix}run_`)).toHaveLength(1);
  }, 60_000);
});

async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

async function keepVersions(access: BucketAccess): Promise<void> {
  const body = Buffer.from('<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>');
  const headers = { 'content-md5': createHash('md5').update(body).digest('base64') };
  await new S3Connection(access).send({ method: 'PUT', query: { versioning: '' }, headers, body }, readBody);
}
