import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openManifest, readEntries, type PointSource } from '../../src/backup/point-reader.ts';
import { JobBucket } from '../../src/backup/job-bucket.ts';
import { rcloneEngine } from '../../src/engines/rclone/engine.ts';
import { toolPath, toolVersions } from '../../src/engines/tools.ts';
import type { BackupEngine } from '../../src/engines/port.ts';
import type { Entry } from '../../src/layout/types.ts';
import { parseSource, remoteOf } from '../../src/sources/registry.ts';
import { openS3Store } from '../../src/storage/s3.ts';
import { KEYS, TestJob, type RunRecord } from '../backup/job.ts';
import { startKmsProxy } from '../servers/kms-proxy.ts';
import { startRcloneS3 } from '../servers/rclone-serve.ts';

const BINARY = { path: toolPath('rclone'), version: toolVersions(['rclone'])[0]?.version ?? '' };
const FILES = ['a', 'b c/ü', 'deep/er/file'];

let server: Awaited<ReturnType<typeof startRcloneS3>>;
let proxy: Awaited<ReturnType<typeof startKmsProxy>>;
let base: string;

beforeAll(async () => {
  server = await startRcloneS3();
  proxy = await startKmsProxy(server.endpoint);
  base = mkdtempSync(join(tmpdir(), 'e3-kms-'));
  for (const bucket of ['source', 'backup']) mkdirSync(join(server.folder, bucket));
}, 60_000);
afterAll(async () => {
  await proxy.stop();
  await server.stop();
  rmSync(base, { recursive: true, force: true });
});

function engine(): BackupEngine {
  const { region, accessKey, secretKey, provider } = server.access('source');
  const keys = { access_key: accessKey, secret_key: secretKey };
  const config = { endpoint: proxy.endpoint, region, bucket: 'source', ...keys, provider };
  return rcloneEngine({
    binary: BINARY,
    source: remoteOf(parseSource({ type: 's3_compatible', config, path: '' })),
    hostKey: null,
    destination: server.access('backup'),
    workFolder: mkdtempSync(join(base, 'work-')),
    transfers: 4,
    statsSeconds: 1,
    bandwidth: 0,
  });
}

const source = (): ReturnType<typeof openS3Store> => openS3Store(server.access('source'));
const md5 = (text: string): string => `md5:${createHash('md5').update(text).digest('hex')}`;

describe('a bucket encrypted with keys of the key service, whose ETags only look like MD5 sums', () => {
  const job = new TestJob();

  const backUp = async (): Promise<RunRecord> =>
    await job.run({ store: openS3Store(server.access('backup')), engine: engine() });

  async function entriesOf(record: RunRecord): Promise<Entry[]> {
    const signal = new AbortController().signal;
    const bucket = new JobBucket(openS3Store(server.access('backup')), job.prefix, signal);
    const points: PointSource = { bucket, job: job.uuid, keys: KEYS };
    const entries: Entry[] = [];
    for await (const entry of readEntries(points, (await openManifest(points, record.point)).manifest))
      entries.push(entry);
    return entries;
  }

  it('is backed up whole, and the hashes recorded are those of what arrived', async () => {
    for (const name of FILES) await source().put(name, Buffer.from(`this is ${name}`));
    const record = await backUp();
    expect(record).toMatchObject({ status: 'success', statistics: { filesCopied: 3, failed: 0, carried: 0 } });
    expect((await entriesOf(record)).map(({ path, hash, state }) => [path, hash, state])).toEqual(
      FILES.map((name) => [name, md5(`this is ${name}`), 'stored']),
    );
  }, 60_000);

  it('is compared by size and date: nothing is copied twice, what changed is', async () => {
    expect(await backUp()).toMatchObject({ status: 'success', statistics: { filesCopied: 0, unchanged: 3 } });
    await source().put('a', Buffer.from('longer than it was'));
    const record = await backUp();
    expect(record).toMatchObject({ status: 'success', statistics: { filesCopied: 1, changed: 1, unchanged: 2 } });
    expect((await entriesOf(record))[0]).toMatchObject({ path: 'a', hash: md5('longer than it was') });
  }, 60_000);

  it('tells no hash to somebody who looks at single files without having listed it', async () => {
    const seen = await engine().look(FILES, { signal: new AbortController().signal });
    expect([...seen.values()].map(({ path, hash }) => [path, hash]).sort()).toEqual(FILES.map((name) => [name, null]));
  });
});
