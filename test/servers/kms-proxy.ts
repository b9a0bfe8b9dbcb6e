import { createHash } from 'node:crypto';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * Makes a bucket look as one does whose objects are encrypted with a key of the store's key service: ETags look like MD5 sums and are others,
 * and answers for single objects name the encryption. Everything else passes as it is.
 */
export async function startKmsProxy(target: string): Promise<{ endpoint: string; stop(): Promise<void> }> {
  const to = new URL(target);
  const server = createServer((request, response) => {
    // The host that was signed goes along.
    const { method = 'GET', url: path = '/', headers } = request;
    const onward = httpRequest({ hostname: to.hostname, port: to.port, method, path, headers }, (answer) =>
      disguise(answer, response),
    );
    onward.once('error', () => request.socket.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function disguise(answer: IncomingMessage, response: ServerResponse): void {
  const { etag } = answer.headers;
  if (etag !== undefined)
    response.setHeaders(new Headers({ etag: otherwise(etag), 'x-amz-server-side-encryption': 'aws:kms' }));
  const isListing = /xml/.test(answer.headers['content-type'] ?? '');
  for (const [name, value] of Object.entries(answer.headers))
    if (value !== undefined && name !== 'etag') response.setHeader(name, value);
  response.statusCode = answer.statusCode ?? 502;
  if (!isListing) return void answer.pipe(response);
  const parts: Buffer[] = [];
  answer.on('data', (part: Buffer) => parts.push(part));
  answer.once('end', () => {
    const xml = Buffer.concat(parts).toString('utf8');
    response.end(xml.replace(/(<ETag>)(.*?)(<\/ETag>)/g, (_, open, tag, close) => `${open}${otherwise(tag)}${close}`));
  });
}

/** As long as before. */
function otherwise(etag: string): string {
  return etag.replace(/[0-9a-f]{32}/, (md5) => createHash('md5').update(md5).digest('hex'));
}
