import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type AddressInfo, type Server as NetServer, type Socket } from 'node:net';
import { createTestCa } from './test-ca.ts';
import { DropboxFake } from './dropbox-fake.ts';
import { GoogleFake } from './google-fake.ts';

/** One request as a fake sees it. */
export interface CloudRequest {
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface CloudReply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, unless it is bytes. */
  readonly body?: unknown;
  /** Hangs up after the bytes, before the length that it announced. */
  readonly cut?: boolean;
}

export interface CloudFake {
  readonly google: GoogleFake;
  readonly dropbox: DropboxFake;
  /** For the environment of whoever should reach the fake: proxy and certificate authority. */
  readonly env: Readonly<Record<'HTTPS_PROXY' | 'NO_PROXY' | 'https_proxy' | 'no_proxy' | 'SSL_CERT_FILE', string>>;
  /** Hosts that were asked for, in order, each time. */
  readonly connects: string[];
  stop(): Promise<void>;
}

const HOSTS = [
  'www.googleapis.com',
  'oauth2.googleapis.com',
  'openidconnect.googleapis.com',
  'docs.google.com',
  'api.dropboxapi.com',
  'content.dropboxapi.com',
  'www.dropbox.com',
  'accounts.google.com',
];

/**
 * Google Drive and Dropbox, as far as a backup asks them: over TLS with certificates of a test authority, behind a proxy that leads
 * every host to them, as the proxy of an operator's network would.
 */
export async function startCloudFake(): Promise<CloudFake> {
  const ca = createTestCa();
  const google = new GoogleFake();
  const dropbox = new DropboxFake();
  const sockets = new Set<Socket>();
  const tls = createTlsServer({ ...ca.issue(HOSTS), ALPNProtocols: ['http/1.1'] }, (request, response) => {
    void serve(request, response, (asked) =>
      asked.host.includes('dropbox') ? dropbox.answer(asked) : google.answer(asked),
    );
  });
  const connects: string[] = [];
  const proxy = createServer((_request, response) => response.writeHead(405).end());
  proxy.on('connect', (request: IncomingMessage, client: Socket, head: Buffer) => {
    connects.push(request.url ?? '');
    const upstream = connect((tls.address() as AddressInfo).port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      client.pipe(upstream).pipe(client);
    });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
  });
  await listening(tls);
  await listening(proxy);
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  return {
    google,
    dropbox,
    connects,
    // Both spellings, and no exceptions: what this machine has set must not lead past the fake.
    env: { HTTPS_PROXY: address, https_proxy: address, NO_PROXY: '', no_proxy: '', SSL_CERT_FILE: ca.file },
    async stop() {
      for (const socket of sockets) socket.destroy();
      tls.closeAllConnections();
      proxy.closeAllConnections();
      await Promise.all([closed(tls), closed(proxy)]);
      ca.remove();
    },
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (asked: CloudRequest) => CloudReply | Promise<CloudReply>,
): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const host = (request.headers.host ?? '').replace(/:\d+$/, '');
  const url = new URL(request.url ?? '/', `https://${host}`);
  const reply = await answer({
    host,
    method: request.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    headers: request.headers,
    body: Buffer.concat(parts).toString('utf8'),
  });
  const { status = 200, headers = {}, body = {}, cut = false } = reply;
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    'content-type': Buffer.isBuffer(body) ? 'application/octet-stream' : 'application/json',
    'content-length': String(bytes.length + (cut ? 1_000 : 0)),
    ...headers,
  });
  if (!cut) response.end(bytes);
  else response.write(bytes, () => setImmediate(() => response.destroy()));
}

async function listening(server: NetServer): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}

async function closed(server: NetServer): Promise<void> {
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
