import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { execa } from 'execa';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobCipher } from '../../../src/crypt/job-cipher.ts';
import { bucketRemote } from '../../../src/engines/rclone/remotes.ts';
import { toolPath } from '../../../src/engines/tools.ts';
import { fileKey, filesFolder, PLAIN_NAMES } from '../../../src/layout/keys.ts';
import { rcloneBulk } from '../../../src/restore/rclone-bulk.ts';
import { readBody, S3Connection } from '../../../src/storage/s3/connection.ts';
import { ensureBucket } from '../../../src/storage/s3.ts';
import { ENCRYPTION } from '../../model/encryption.ts';
import type { S3Server } from '../../servers/rclone-serve.ts';
import { startSeaweedFs } from '../../servers/seaweedfs.ts';
import { BINARY, copyTo, openEngine, s3Source, type TestEngine } from './engine.ts';

const RUN = '01900000-0000-7000-8000-00000000beef';
const CLAIM = 'c1-0123abcd';
const METADATA = {
  mtime: '2020-01-02T03:04:05.678Z',
  'content-type': 'text/html',
  'content-disposition': 'attachment; filename="plans.html"',
  owner: 'ada@example.test',
};
const TIME = '1577934245.678';

let server: S3Server;
let folder: string;
let engine: TestEngine | null = null;

beforeAll(async () => {
  server = await startSeaweedFs();
  folder = mkdtempSync(join(tmpdir(), 'e3-metadata-'));
  for (const bucket of ['source', 'backups']) await ensureBucket(server.access(bucket));
  const source = bucketRemote('SOURCE', server.access('source'));
  const sets = Object.entries(METADATA).flatMap(([name, value]) => ['--metadata-set', `${name}=${value}`]);
  const args = ['rcat', '--config', '', '-M', ...sets, source.file('plans.html')];
  await execa(toolPath('rclone'), args, { input: 'secret', extendEnv: false, env: { ...source.env } });
}, 60_000);
afterEach(() => engine?.remove());
afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const folderOf = (prefix: string): string => (prefix + filesFolder(RUN, CLAIM)).replace(/\/$/, '');
async function* one(name: string): AsyncGenerator<string> {
  yield name;
}

async function copied(prefix: string, cipher: JobCipher | null): Promise<string> {
  const destination = server.access('backups');
  engine = openEngine(s3Source(server.access('source')), destination, { cipher });
  const outcome = await copyTo(engine, ['plans.html'], folderOf(prefix));
  expect(outcome).toMatchObject({ fatal: null, exitCode: 0 });
  return prefix + fileKey(RUN, CLAIM, 'plans.html', cipher ?? PLAIN_NAMES);
}

async function headersOf(key: string): Promise<IncomingHttpHeaders> {
  const connection = new S3Connection(server.access('backups'));
  return await connection.send({ method: 'HEAD', key }, async (answer) => {
    await readBody(answer);
    return answer.headers;
  });
}

function metadataOf(headers: IncomingHttpHeaders): string[] {
  return Object.keys(headers).filter((name) => name.startsWith('x-amz-meta-'));
}

describe('the metadata of objects', () => {
  it('goes along into a plain backup', async () => {
    expect(await headersOf(await copied('plain/', null))).toMatchObject({
      'x-amz-meta-mtime': expect.stringContaining('.678'),
      'x-amz-meta-owner': METADATA.owner,
      'content-type': 'text/html',
      'content-disposition': METADATA['content-disposition'],
    });
  });

  it('stays out of an encrypted one, save the time, which comes back with a restore', async () => {
    const { cipher } = ENCRYPTION;
    const key = await copied('sealed/', cipher);
    const headers = await headersOf(key);
    expect(metadataOf(headers)).toEqual(['x-amz-meta-mtime']);
    expect(headers['x-amz-meta-mtime']).toBe(TIME);
    expect(headers['content-disposition']).toBeUndefined();
    expect(headers['content-type']).toBe('application/octet-stream');

    const access = server.access('backups');
    const bulk = rcloneBulk({
      ...{ binary: BINARY, from: access, cipher, to: { access, prefix: 'back/' } },
      ...{ workFolder: folder, transfers: 4, bandwidth: 0 },
    });
    const failed = await bulk.copy({
      ...{ fromKey: folderOf('sealed/'), toPath: '', names: one('plans.html'), count: 1, bytes: 6, largest: 6 },
      ...{ existing: 'none', signal: new AbortController().signal, onProgress: () => undefined },
    });
    await bulk.close();
    expect(failed.size).toBe(0);
    const restored = await headersOf('back/plans.html');
    expect(restored['x-amz-meta-mtime']).toBe(TIME);
    expect(restored['content-length']).toBe('6');
    expect(restored['content-type']).toContain('text/html');
  });
});
