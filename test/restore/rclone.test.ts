import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobBucket } from '../../src/backup/job-bucket.ts';
import { rcloneEngine } from '../../src/engines/rclone/engine.ts';
import { toolPath, toolVersions } from '../../src/engines/tools.ts';
import { keyOfPath, localNameOfPath } from '../../src/layout/encoding.ts';
import { BucketTarget, destinationNames } from '../../src/restore/bucket-target.ts';
import { LocalTarget } from '../../src/restore/local-target.ts';
import type { RestoreTarget } from '../../src/restore/port.ts';
import { rcloneBulk } from '../../src/restore/rclone-bulk.ts';
import { requireExact, type RestoreReport } from '../../src/restore/report.ts';
import { restorePoint } from '../../src/restore/restore-point.ts';
import { parseSource, remoteOf } from '../../src/sources/registry.ts';
import type { BucketAccess } from '../../src/storage/port.ts';
import { ensureBucket, openS3Store } from '../../src/storage/s3.ts';
import { KEYS, TestJob, type RunRecord } from '../backup/job.ts';
import { deletable } from '../storage/deletable.ts';
import { startRcloneS3, type S3Server } from '../servers/rclone-serve.ts';
import { startSeaweedFs } from '../servers/seaweedfs.ts';

const BINARY = { path: toolPath('rclone'), version: toolVersions(['rclone'])[0]?.version ?? '' };
const NAMES = [
  'plain', 'with space', ' lead', 'trail ', 'back\\slash', 'quote"d', "it's", '--flag', '-lead', '#hash', '*', 'a:b', '%41', '+plus',
  '.hidden', '...', 'é', 'e\u0301', '日本', '😀', 'a\nb', 'tab\tin it', `${'d/'.repeat(200)}file`,
]; // prettier-ignore

const servers: [string, () => Promise<S3Server>, readonly string[]][] = [
  ['rclone serve s3', () => startRcloneS3(), NAMES],
  // It takes a backslash in a key for a slash, at the source; in keys of the format there is none.
  ['SeaweedFS', () => startSeaweedFs(), NAMES.filter((name) => !name.includes('\\'))],
];

describe.each(servers)('backup and restore by rclone on %s', (_, start, names) => {
  let server: S3Server;
  let base: string;
  let job: TestJob;
  let record: RunRecord;
  /** Path → content, as the source holds it. */
  const contents = new Map<string, string>();

  const access = (bucket: string): BucketAccess => server.access(bucket);
  const folder = (): string => mkdtempSync(join(base, 'work-'));

  async function backUp(): Promise<RunRecord> {
    const { endpoint, region, accessKey, secretKey, provider } = access('source');
    const config = { endpoint, region, bucket: 'source', access_key: accessKey, secret_key: secretKey, provider };
    const source = parseSource({ type: 's3_compatible', config, path: '' });
    const engine = rcloneEngine({
      binary: BINARY,
      source: remoteOf(source),
      hostKey: null,
      destination: access('backup'),
      workFolder: folder(),
      transfers: 8,
      statsSeconds: 1,
      bandwidth: 0,
    });
    return await job.run({ store: openS3Store(access('backup')), engine });
  }

  beforeAll(async () => {
    server = await start();
    base = mkdtempSync(join(tmpdir(), 'e3-rclone-restore-'));
    for (const bucket of ['source', 'backup', 'other']) await ensureBucket(access(bucket));
    const source = openS3Store(access('source'));
    for (const name of names) await source.put(`names/${name}`, Buffer.from(`this is ${name}`));
    for (let i = 0; i < 60; i += 1) await source.put(`many/${i}`, Buffer.from(`content ${i}`));
    job = new TestJob();
    record = await backUp();
    for (const name of names)
      contents.set(`names/${name}`.replaceAll('\n', '␊').replaceAll('\t', '␉'), `this is ${name}`);
    for (let i = 0; i < 60; i += 1) contents.set(`many/${i}`, `content ${i}`);
  });
  afterAll(async () => {
    await server.stop();
    rmSync(base, { recursive: true, force: true });
  });

  async function restore(from: RunRecord, make: () => RestoreTarget): Promise<RestoreReport> {
    const signal = new AbortController().signal;
    const bucket = new JobBucket(openS3Store(access('backup')), job.prefix, signal);
    return await restorePoint({
      source: { bucket, job: job.uuid, keys: KEYS },
      place: from.point,
      manifestSha256: from.point.manifestSha256,
      target: make(),
      space: { folder: folder(), memoryItems: 1_000 },
      signal,
    });
  }

  const bulkTo = (to: Parameters<typeof rcloneBulk>[0]['to']) =>
    rcloneBulk({ binary: BINARY, from: access('backup'), to, workFolder: folder(), transfers: 8, bandwidth: 0 });

  async function restoreLocally(from: RunRecord, name: string): Promise<{ report: RestoreReport; target: string }> {
    const target = join(base, name);
    mkdirSync(target);
    const report = await restore(from, () => new LocalTarget({ folder: target, bulk: bulkTo({ folder: target }) }));
    return { report, target };
  }

  const read = (target: string, path: string): string =>
    readFileSync(Buffer.concat([Buffer.from(`${target}/`), localNameOfPath(path)]), 'utf8');

  it('takes every name there is', () => {
    expect(record.events.flatMap((event) => (event.code === 'FILE_PROBLEMS' ? event.params.problems : []))).toEqual([]);
    expect(record).toMatchObject({ status: 'success', point: { files: contents.size, stored: contents.size } });
  });

  it('brings everything back to a folder, with the times of the source', async () => {
    const { report, target } = await restoreLocally(record, 'local');
    requireExact(report);
    expect(report).toMatchObject({ files: contents.size, exact: contents.size, sizeOnly: 0 });
    for (const [path, text] of contents) expect([path, read(target, path)]).toEqual([path, text]);
    const head = await openS3Store(access('source')).head('many/7');
    const restored = statSync(join(target, 'many/7')).mtimeMs;
    expect(Math.abs(restored - (head?.lastModified ?? 0))).toBeLessThan(2_000);
  });

  it.each(['backup', 'other'])('brings everything back to a prefix of the bucket "%s"', async (bucket) => {
    const prefix = 'restored/here/';
    const target = openS3Store(access(bucket));
    const report = await restore(
      record,
      () =>
        new BucketTarget({
          store: target,
          prefix,
          names: destinationNames,
          protectedPrefixes: [job.prefix],
          bulk: bulkTo({ access: access(bucket), prefix }),
        }),
    );
    requireExact(report);
    expect(report.exact).toBe(contents.size);
    for (const [path, text] of contents) {
      expect([path, (await target.get(prefix + keyOfPath(path)))?.toString()]).toEqual([path, text]);
    }
  });

  it('copies only what changed, takes renamed files from where they lie, and restores that too', async () => {
    const source = openS3Store(access('source'));
    for (let i = 0; i < 60; i += 1) {
      await source.put(`renamed/folder/${i}`, Buffer.from(`content ${i}`));
      contents.set(`renamed/folder/${i}`, `content ${i}`);
      contents.delete(`many/${i}`);
    }
    await source.delete(deletable(Array.from({ length: 60 }, (__, i) => `many/${i}`)));
    await source.put('names/plain', Buffer.from('changed'));
    contents.set('names/plain', 'changed');
    const second = await backUp();
    expect(second).toMatchObject({ status: 'success', statistics: { filesCopied: 1, moved: 60, deleted: 60 } });
    const { report, target } = await restoreLocally(second, 'second');
    requireExact(report);
    expect(report.exact).toBe(contents.size);
    for (const [path, text] of contents) expect([path, read(target, path)]).toEqual([path, text]);
  });
});
