import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { madeUpObject, type MadeUpObject } from './made-up-bucket.ts';

/**
 * A bucket that exists in its listing only, in a process of its own. Started by `fork` with the number of its objects; says `{port}`.
 */
const count = Number(process.argv[2]);
const PAGE = 1_000;

const server = createServer((request, response) => {
  const query = new URL(request.url ?? '/', 'http://bucket').searchParams;
  if (request.method !== 'GET' || query.get('list-type') !== '2') {
    response.statusCode = request.method === 'HEAD' ? 200 : 501;
    return void response.end();
  }
  const prefix = query.get('prefix') ?? '';
  const first = Number(query.get('continuation-token') ?? (query.has('start-after') ? NaN : 0));
  if (prefix !== '' || Number.isNaN(first) || query.has('delimiter')) {
    response.statusCode = 501;
    return void response.end();
  }
  response.setHeader('content-type', 'application/xml');
  response.end(page(first));
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit(0));

function page(first: number): string {
  const last = Math.min(first + PAGE, count);
  let objects = '';
  for (let index = first; index < last; index += 1) objects += contents(madeUpObject(index));
  const more = last < count ? `<NextContinuationToken>${last}</NextContinuationToken>` : '';
  const head = `<Name>bucket</Name><EncodingType>url</EncodingType><IsTruncated>${last < count}</IsTruncated>${more}`;
  return `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>${head}${objects}</ListBucketResult>`;
}

function contents({ key, size, md5, mtime }: MadeUpObject): string {
  return `<Contents><Key>${key}</Key><LastModified>${mtime}</LastModified><ETag>&quot;${md5}&quot;</ETag><Size>${size}</Size><StorageClass>STANDARD</StorageClass></Contents>`;
}
