import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** What lies in a folder: files with the size that the server claims, folders with null. */
export type FakeFolder = Readonly<Record<string, number | null>>;

export interface WebdavFake {
  readonly url: string;
  readonly port: number;
  /** Requests as they came: method and path. */
  readonly seen: string[];
  close(): void;
}

/**
 * A WebDAV server that lies as a test wants it to.
 * @param options.folder what it says of a folder (path without slashes at its ends); null: it does not exist
 * @param options.answer answers a request by itself, and says so by true
 */
export async function startWebdavFake(options: {
  folder: (path: string) => FakeFolder | null;
  content?: (path: string) => string;
  answer?: (request: { method: string; path: string }, response: ServerResponse) => boolean;
  tls?: { cert: string; key: string };
}): Promise<WebdavFake> {
  const seen: string[] = [];
  const server = (options.tls ? createTlsServer(options.tls) : createServer()) as ReturnType<typeof createServer>;
  server.on('request', (request, response) => {
    const path = decodeURIComponent((request.url ?? '/').replace(/\/+$/, '').replace(/^\/+/, ''));
    const method = request.method ?? '';
    seen.push(`${method} ${path}`);
    const answer = (): void => {
      if (options.answer?.({ method, path }, response)) return;
      if (method === 'PROPFIND') propfind(options.folder, path, String(request.headers['depth'] ?? '1'), response);
      else if (method !== 'GET') response.writeHead(405).end();
      else response.end(options.content?.(path) ?? '');
    };
    request.resume();
    // Whoever is still sending may not hear an answer.
    if (method === 'PUT') request.once('end', answer);
    else answer();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    seen,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

function propfind(
  folder: (path: string) => FakeFolder | null,
  path: string,
  depth: string,
  response: ServerResponse,
): void {
  const own = folder(path);
  const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
  const size = own === null ? folder(parent)?.[path.slice(parent === '' ? 0 : parent.length + 1)] : null;
  if (own === null && typeof size !== 'number') return void response.writeHead(404).end();
  const entries: (readonly [string, number | null])[] = [[path, own === null ? (size ?? 0) : null]];
  if (own !== null && depth !== '0')
    for (const [name, bytes] of Object.entries(own)) entries.push([path === '' ? name : `${path}/${name}`, bytes]);
  response.writeHead(207, { 'content-type': 'application/xml' });
  response.end(
    `<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">${entries.map(([at, bytes]) => entry(at, bytes)).join('')}</D:multistatus>`,
  );
}

function entry(path: string, bytes: number | null): string {
  const href = `/${path.split('/').map(encodeURIComponent).join('/')}${bytes === null && path !== '' ? '/' : ''}`;
  const kind = bytes === null ? '<D:resourcetype><D:collection/></D:resourcetype>' : '<D:resourcetype/>';
  const length = bytes === null ? '' : `<D:getcontentlength>${bytes}</D:getcontentlength>`;
  return (
    `<D:response><D:href>${href}</D:href><D:propstat><D:prop>${kind}${length}` +
    '<D:getlastmodified>Thu, 01 Jan 2026 00:00:00 GMT</D:getlastmodified></D:prop>' +
    '<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>'
  );
}
