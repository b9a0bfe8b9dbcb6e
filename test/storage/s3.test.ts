import { beforeAll, afterAll, describe, expect, it } from '@jest/globals';
import { execa } from 'execa';
import { createHash } from 'node:crypto';
import { toolPath } from '../../src/engines/tools.ts';
import type { BucketAccess } from '../../src/storage/port.ts';
import { readBody, S3Connection } from '../../src/storage/s3/connection.ts';
import { parseFlat } from '../../src/storage/s3/xml.ts';
import { ensureBucket, openS3Store } from '../../src/storage/s3.ts';
import { describeObjectStore, type OpenedStore, type StoreTraits } from '../contract/storage.ts';
import { startCeph } from '../servers/ceph.ts';
import { startRcloneS3, type S3Server } from '../servers/rclone-serve.ts';
import { startSeaweedFs } from '../servers/seaweedfs.ts';

// Three real servers and some ten thousand requests: this file takes half a minute.

/** Writes with user metadata as our transfers do: by rclone. */
async function writeByRclone(access: BucketAccess, key: string, body: Buffer, metadata: Record<string, string>) {
  const sets = Object.entries(metadata).flatMap(([name, value]) => ['--metadata-set', `${name}=${value}`]);
  await execa(toolPath('rclone'), ['rcat', '--config', '/dev/null', '-M', ...sets, `dest:${access.bucket}/${key}`], {
    input: body,
    extendEnv: false,
    env: {
      RCLONE_CONFIG_DEST_TYPE: 's3',
      RCLONE_CONFIG_DEST_PROVIDER: access.provider,
      RCLONE_CONFIG_DEST_ENDPOINT: access.endpoint,
      RCLONE_CONFIG_DEST_REGION: access.region,
      RCLONE_CONFIG_DEST_ACCESS_KEY_ID: access.accessKey,
      RCLONE_CONFIG_DEST_SECRET_ACCESS_KEY: access.secretKey,
    },
  });
}

async function beginUpload(access: BucketAccess, key: string): Promise<string> {
  const connection = new S3Connection(access);
  const answer = await connection.send({ method: 'POST', key, query: { uploads: '' } }, readBody);
  const uploadId = parseFlat(answer.toString()).get('UploadId') ?? '';
  const body = Buffer.from('one part');
  await connection.send({ method: 'PUT', key, query: { partNumber: '1', uploadId }, body }, readBody);
  return uploadId;
}

async function open(start: () => Promise<S3Server>): Promise<OpenedStore> {
  const server = await start();
  const access = server.access('contract');
  await ensureBucket(access);
  await ensureBucket(access);
  return {
    store: openS3Store(access),
    wrongKey: openS3Store({ ...access, secretKey: 'not-the-secret-key' }),
    missingBucket: openS3Store(server.access('no-such-bucket')),
    beginUpload: async (key) => await beginUpload(access, key),
    writeWithMetadata: async (key, body, metadata) => await writeByRclone(access, key, body, metadata),
    close: server.stop,
  };
}

const onFileSystem: StoreTraits = {
  controlCharacters: true,
  emptySegments: false,
  backslash: true,
  byteOrder: false,
  uploads: false,
};
describeObjectStore('rclone serve s3', onFileSystem, async () => await open(startRcloneS3));
describeObjectStore(
  'SeaweedFS',
  { controlCharacters: true, emptySegments: false, backslash: false, byteOrder: false, uploads: true },
  async () => await open(startSeaweedFs),
);
describeObjectStore(
  'Ceph',
  { controlCharacters: true, emptySegments: true, backslash: true, byteOrder: true, uploads: true },
  async () => await open(startCeph),
);

describe.each([
  ['SeaweedFS', startSeaweedFs],
  ['Ceph', startCeph],
  ['rclone serve s3, which knows no copied parts,', startRcloneS3],
])('S3 client on %s', (_name, start: () => Promise<S3Server>) => {
  let server: S3Server;
  beforeAll(async () => {
    server = await start();
    await ensureBucket(server.access('client'));
  });
  afterAll(async () => await server?.stop());

  it('copies objects beyond the limit of one copy, metadata along', async () => {
    const options = { copyCutoffBytes: 6 * 1024 ** 2, copyPartBytes: 5 * 1024 ** 2, backoffMs: 1 };
    const store = openS3Store(server.access('client'), options);
    const body = Buffer.alloc(12 * 1024 ** 2 + 3, 'parts of a larger whole ');
    await writeByRclone(server.access('client'), 'large', body, { colour: 'gr\u00fcn' });
    expect(await store.copy('large', 'copied')).toBe(true);
    const copied = await store.get('copied');
    expect(
      createHash('md5')
        .update(copied ?? '')
        .digest('hex'),
    ).toBe(createHash('md5').update(body).digest('hex'));
    expect((await store.head('copied'))?.metadata).toEqual((await store.head('large'))?.metadata);
  });
});
