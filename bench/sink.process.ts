import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * A bucket that takes everything and keeps nothing: so much as an upload needs of S3, for measurements that would fill a disk. Started by
 * `fork`; says `{port}`.
 */
const server = createServer((request, response) => {
  // Whoever is measured is ended in the middle of its uploads.
  answer(request, response).catch(() => response.destroy());
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit(0));

interface Body {
  readonly md5: Buffer;
  readonly bytes: number;
}

/** Parts by upload, and what is said of whole objects. */
const uploads = new Map<string, Map<number, Body>>();
const objects = new Map<string, { etag: string; bytes: number }>();

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const hash = createHash('md5');
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    hash.update(part);
    bytes += part.length;
  }
  const md5 = hash.digest();
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://sink');
  const upload = searchParams.get('uploadId');
  const xml = (name: string, body: string): void =>
    void response.end(
      `<?xml version="1.0"?><${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${body}</${name}>`,
    );
  if (request.method === 'PUT') {
    const etag = `"${md5.toString('hex')}"`;
    if (upload === null) objects.set(pathname, { etag, bytes });
    else uploads.get(upload)?.set(Number(searchParams.get('partNumber')), { md5, bytes });
    response.setHeader('etag', etag).end();
  } else if (request.method === 'POST' && upload === null) {
    const id = randomUUID();
    uploads.set(id, new Map());
    xml('InitiateMultipartUploadResult', `<Key>${pathname}</Key><UploadId>${id}</UploadId>`);
  } else if (request.method === 'POST') {
    const parts = [...(uploads.get(upload ?? '') ?? [])].sort(([a], [b]) => a - b).map(([, part]) => part);
    uploads.delete(upload ?? '');
    const sum = createHash('md5')
      .update(Buffer.concat(parts.map((part) => part.md5)))
      .digest('hex');
    const etag = `"${sum}-${parts.length}"`;
    objects.set(pathname, { etag, bytes: parts.reduce((total, part) => total + part.bytes, 0) });
    xml('CompleteMultipartUploadResult', `<ETag>${etag}</ETag>`);
  } else if (request.method === 'HEAD' && objects.has(pathname)) {
    const { etag, bytes: length } = objects.get(pathname) ?? { etag: '', bytes: 0 };
    response.setHeader('etag', etag).setHeader('content-length', length).end();
  } else if (request.method === 'GET') {
    xml('ListBucketResult', '<IsTruncated>false</IsTruncated>');
  } else {
    response.writeHead(request.method === 'DELETE' ? 204 : 404).end();
  }
}
