// Sources whose listing never ends: S3 and SFTP, which we list ourselves. Those that rclone lists are in hostile.test.ts.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { SourceListing } from '../../src/engines/port.ts';
import { listS3 } from '../../src/sources/list-s3.ts';
import { listSftp } from '../../src/sources/list-sftp.ts';
import type { S3Origin, SftpOrigin } from '../../src/sources/source-type.ts';
import { startSftpFake, type FakePortion } from '../servers/sftp-fake.ts';

const signal = new AbortController().signal;
const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const ending of endings.splice(0)) await ending();
});

async function countOf({ files, outcome }: SourceListing): Promise<number> {
  let count = 0;
  for await (const file of files) count += file.path === '' ? 0 : 1;
  expect((await outcome).complete).toBe(true);
  return count;
}

interface Page {
  readonly keys: readonly string[];
  /** Null: this is the last one. */
  readonly next: string | null;
}

/** An S3 server that lists what `page` says, by the number of the request and the token that it was given. */
async function s3Origin(page: (index: number, token: string | null) => Page): Promise<S3Origin> {
  let requests = 0;
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '/', 'http://s3');
    if (request.method !== 'GET' || !searchParams.has('list-type')) return void response.writeHead(404).end();
    const { keys, next } = page(requests, searchParams.get('continuation-token'));
    requests += 1;
    const contents = keys.map(
      (key) =>
        `<Contents><Key>${key}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>`,
    );
    const more = next === null ? '' : `<NextContinuationToken>${next}</NextContinuationToken>`;
    response.end(
      `<?xml version="1.0"?><ListBucketResult><KeyCount>${keys.length}</KeyCount>` +
        `<IsTruncated>${next !== null}</IsTruncated>${more}${contents.join('')}</ListBucketResult>`,
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  endings.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const access = { endpoint, region: 'us-east-1', bucket: 'b', accessKey: 'a', secretKey: 's', provider: 'Other' };
  return { kind: 's3', access, prefix: '' };
}

describe('an S3 source', () => {
  it.each([
    ['gives out the same page and token again', () => ({ keys: ['a'], next: 'again' })],
    ['begins anew under fresh tokens', (index: number) => ({ keys: [`k${index % 3}`], next: `t${index}` })],
    [
      'goes in a circle far behind its beginning',
      (index: number) => ({ keys: [index < 20 ? `a${index}` : `b${index % 7}`], next: `t${index}` }),
    ],
    ['brings nothing for ever', (index: number) => ({ keys: [], next: `t${index}` })],
  ] as const)(
    'that %s is given up',
    async (_, page) => {
      const origin = await s3Origin(page);
      await expect(countOf(listS3(origin, { signal }))).rejects.toMatchObject({ code: 'ERR_SOURCE_LISTING' });
    },
    60_000,
  );

  it('that invents names for ever is given up', async () => {
    const origin = await s3Origin((index) => ({ keys: [`name ${index}`], next: `t${index}` }));
    const listing = listS3(origin, { signal, mostEntries: 200 });
    await expect(countOf(listing)).rejects.toMatchObject({ code: 'ERR_SOURCE_LISTING' });
  }, 60_000);

  it('that passes over what was deleted, in many empty pages, is read to its end', async () => {
    const origin = await s3Origin((index) => ({
      keys: index === 0 || index === 150 ? [`name ${index}`] : [],
      next: index < 150 ? `t${index}` : null,
    }));
    expect(await countOf(listS3(origin, { signal, mostEntries: 2 }))).toBe(2);
  }, 60_000);
});

async function sftpListing(
  portion: (path: string, index: number) => FakePortion | null,
  mostEntries = 100_000,
): Promise<SourceListing> {
  const server = await startSftpFake({ portion, entry: () => 'folder' });
  endings.push(() => server.close());
  const { host, port, user, password, hostKey } = server;
  const origin: SftpOrigin = { kind: 'sftp', host, port, user, pass: password, key: null, path: '/top' };
  return listSftp(origin, { hostKey, signal, mostEntries });
}

describe('an SFTP source', () => {
  it.each([
    [
      'has folders in folders for ever',
      (_path: string, index: number) => (index > 0 ? null : { again: 'folder' as const }),
    ],
    ['tells the same names again and again', () => ({ a: 1, b: 2 })],
    ['tells nothing again and again', () => ({})],
  ] as const)(
    'that %s is given up',
    async (_, portion) => {
      await expect(countOf(await sftpListing(portion))).rejects.toMatchObject({ code: 'ERR_SOURCE_LISTING' });
    },
    60_000,
  );

  it('that invents names for ever is given up', async () => {
    const listing = await sftpListing((_path, index) => ({ [`name ${index}`]: 1 }), 500);
    await expect(countOf(listing)).rejects.toMatchObject({ code: 'ERR_SOURCE_LISTING' });
  }, 60_000);

  it('whose answers hold a few names each, or none, is read to its end', async () => {
    const portions: readonly FakePortion[] = [{}, { a: 1 }, {}, { b: 2, c: 3 }];
    const listing = await sftpListing((_path, index) => portions[index] ?? null, 3);
    expect(await countOf(listing)).toBe(3);
  }, 60_000);
});
