// S3 servers of customers that lead elsewhere: by an answer, or by their name.
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { BackupError } from '../../src/errors/backup-error.ts';
import { createEgressGuard, type EgressGuard } from '../../src/security/egress.ts';
import { parseSource, remoteOf, type RemoteDefinition } from '../../src/sources/registry.ts';
import { ensureBucket, openS3Store } from '../../src/storage/s3.ts';
import { checkHosts, keptToHosts } from '../../src/worker/open-source.ts';
import { copyTo, keysBelow, listAll, openEngine, type TestEngine } from '../engines/rclone/engine.ts';
import { startRcloneS3 } from '../servers/rclone-serve.ts';

let s3: Awaited<ReturnType<typeof startRcloneS3>>;
const endings: (() => unknown)[] = [];

beforeAll(async () => {
  s3 = await startRcloneS3();
  await ensureBucket(s3.access('target'));
}, 60_000);
afterEach(async () => {
  for (const ending of endings.splice(0).reverse()) await ending();
});
afterAll(async () => await s3.stop());

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  endings.push(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const ETAG = '"0123456789abcdef0123456789abcdef-2"';

/** A bucket of two objects of six bytes; `moved` is somewhere else. */
function bucketLeadingTo(address: string): RequestListener {
  const listed = ['moved', 'stays'].map(
    (key) =>
      `<Contents><Key>${key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>${ETAG}</ETag><Size>6</Size></Contents>`,
  );
  return (request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://bucket');
    if (/^\/b\/?$/.test(pathname)) {
      const page = `<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated>${listed.join('')}</ListBucketResult>`;
      response.writeHead(200, { 'content-type': 'application/xml' }).end(page);
    } else if (pathname === '/b/moved' && request.method === 'GET') {
      response.writeHead(302, { location: address }).end();
    } else {
      const about = { 'content-length': 6, etag: ETAG, 'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT' };
      response.writeHead(200, about).end(request.method === 'HEAD' ? undefined : 'stored');
    }
  };
}

/** As a worker opens it. */
async function open(endpoint: string, guard: EgressGuard): Promise<RemoteDefinition> {
  const config = { endpoint, bucket: 'b', access_key: 'AK', secret_key: 'SK' };
  const source = parseSource({ type: 's3_compatible', config, path: '' });
  const found = { source, definition: remoteOf(source), addresses: await checkHosts(guard, source) };
  return await keptToHosts(guard, found, { atEnd: (work) => void endings.push(work) });
}

function engineOf(definition: RemoteDefinition): TestEngine {
  const engine = openEngine(definition, s3.access('target'));
  endings.push(() => engine.remove());
  return engine;
}

/** Lets one port of this machine pass for a public server. */
function onlyPort(allowed: number): EgressGuard {
  const guard = createEgressGuard();
  return {
    ...guard,
    check: async (host, port) => {
      if (port !== allowed) throw new BackupError('HOST_NOT_ALLOWED');
      return await Promise.resolve({ host, port, addresses: ['127.0.0.1'] });
    },
  };
}

describe('an S3 server', () => {
  it('that leads elsewhere leads nowhere inside', async () => {
    const seen: string[] = [];
    const inside = await serve((request, response) => {
      seen.push(request.url ?? '');
      response.writeHead(200, { 'content-length': 6 }).end('secret');
    });
    const port = await serve(bucketLeadingTo(`http://localhost:${inside}/latest/meta-data/`));
    const engine = engineOf(await open(`http://127.0.0.1:${port}`, onlyPort(port)));
    expect([...(await listAll(engine)).files.keys()].sort()).toEqual(['moved', 'stays']);
    const outcome = await copyTo(engine, 'all', 'redirect');
    expect([...outcome.failed.keys()]).toEqual(['moved']);
    expect(await keysBelow(openS3Store(s3.access('target')), 'redirect/')).toEqual(['stays']);
    expect(seen).toEqual([]);
  }, 60_000);

  it('whose name leads inside after it was looked at is not connected to', async () => {
    let requests = 0;
    const port = await serve((_request, response) => {
      requests += 1;
      response.end();
    });
    let asked = 0;
    const resolve = async (): Promise<string[]> =>
      await Promise.resolve((asked += 1) === 1 ? ['93.184.215.14'] : ['127.0.0.1']);
    const definition = await open(`http://s3.example.com:${port}`, createEgressGuard({ resolve }));
    await expect(listAll(engineOf(definition))).rejects.toMatchObject({ code: 'HOST_NOT_ALLOWED' });
    const outcome = await copyTo(engineOf(definition), ['a'], 'moving').catch((error: unknown) => error);
    expect(outcome).not.toMatchObject({ failed: new Map() });
    expect(requests).toBe(0);
  }, 60_000);

  it('that the operator has allowed by name is read without a detour', async () => {
    const definition = await open('http://127.0.0.1:9', createEgressGuard({ allow: ['127.0.0.1'] }));
    expect(Object.keys(definition.options)).not.toContain('override.http_proxy');
  });
});
