import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { isBackupError } from '../errors/backup-error.ts';
import type { EgressGuard } from './egress.ts';
import { connectThrough, proxyFor, type ProxyEnvironment } from './upstream-proxy.ts';

export interface EgressProxyOptions {
  readonly guard: EgressGuard;
  /**
   * The one server that may be reached, on any port from 1024 on besides its own, whatever host is asked for: an FTP server's answers
   * name the host of the data connection, and may name another one. Absent: every host that the guard allows.
   */
  readonly server?: { readonly host: string; readonly port: number; readonly address: string };
  /** Where the operator's own proxy is set, as the transfer programs read it. Default: of this process. */
  readonly environment?: ProxyEnvironment;
}

export interface EgressProxy {
  /** `http://user:password@127.0.0.1:port`: a secret, to be given by environment. */
  readonly url: string;
  close(): Promise<void>;
}

/** Reasons as they stand in the status line, which the transfer program quotes in its errors. */
export const REFUSALS = {
  notAllowed: 'e3 host not allowed',
  unknown: 'e3 host unknown',
  refused: 'e3 connection refused',
  unreachable: 'e3 host unreachable',
} as const;

const CONNECT_MS = 20_000;
/** Nobody sends anything for so long: longer than the transfer program's own patience. */
const IDLE_MS = 10 * 60_000;
const USER = 'e3';
/** Headers of one hop (RFC 9110, section 7.6.1). */
const HOP_BY_HOP = new Set([
  ...['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade'],
]);

/**
 * A proxy on loopback for the traffic of one source. Each connection's host is resolved and checked here, and the very address that
 * was checked is connected to: so neither a redirect, nor an answer that names another host, nor a name that changes its address
 * leads inside. TLS goes through it end to end. Behind a password, because everybody on the machine can reach loopback.
 */
export async function startEgressProxy(options: EgressProxyOptions): Promise<EgressProxy> {
  const password = randomBytes(24).toString('base64url');
  const gate = new Gate(options, `Basic ${Buffer.from(`${USER}:${password}`).toString('base64')}`);
  const server = createServer((request, response) => void gate.forward(request, response));
  server.on(
    'connect',
    (request: IncomingMessage, client: Duplex, head: Buffer) => void gate.tunnel(request, client, head),
  );
  server.on('connection', (socket: Socket) => gate.own(socket));
  server.requestTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${USER}:${password}@127.0.0.1:${port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      gate.closeAll();
      await closed;
    },
  };
}

interface Goal {
  /** As it was asked for: for the operator's proxy. */
  readonly host: string;
  readonly port: number;
  /** What was checked, to connect to. */
  readonly address: string;
}

class Refusal extends Error {}

class Gate {
  readonly #options: EgressProxyOptions;
  readonly #authorization: Buffer;
  readonly #sockets = new Set<Duplex>();

  constructor(options: EgressProxyOptions, authorization: string) {
    this.#options = options;
    this.#authorization = Buffer.from(authorization);
  }

  own<T extends Duplex>(socket: T): T {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    return socket;
  }

  closeAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** CONNECT: bytes in both directions. */
  async tunnel(request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    this.own(client);
    try {
      this.#authorize(request);
      const server = await this.#connect(await this.#goal(`http://${request.url ?? ''}`), 'https');
      if (client.destroyed) return void server.destroy();
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      server.write(head);
      server.pipe(client);
      client.pipe(server);
      server.once('close', () => client.destroy());
      client.once('close', () => server.destroy());
    } catch (error) {
      client.end(`HTTP/1.1 ${statusOf(error)} ${reasonOf(error)}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    }
  }

  /** A request for a whole `http:` address. */
  async forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      this.#authorize(request);
      if (!/^http:\/\//i.test(request.url ?? '')) throw new Refusal(REFUSALS.notAllowed);
      const url = new URL(request.url ?? '');
      const socket = await this.#connect(await this.#goal(url.href), 'http');
      const headers = Object.entries(request.headers).filter(([name]) => !HOP_BY_HOP.has(name));
      const sent = httpRequest({
        createConnection: () => socket,
        method: request.method ?? 'GET',
        path: url.pathname + url.search,
        headers: { ...Object.fromEntries(headers), host: url.host, connection: 'close' },
      });
      sent.once('response', (answer) => {
        const kept = Object.entries(answer.headers).filter(([name]) => !HOP_BY_HOP.has(name));
        response.writeHead(answer.statusCode ?? 502, answer.statusMessage, Object.fromEntries(kept));
        answer.pipe(response);
        answer.once('error', () => response.destroy());
        answer.once('aborted', () => response.destroy());
      });
      sent.once('error', () =>
        response.headersSent ? response.destroy() : refuse(response, 502, REFUSALS.unreachable),
      );
      response.once('close', () => socket.destroy());
      request.pipe(sent);
    } catch (error) {
      refuse(response, statusOf(error), reasonOf(error));
    }
  }

  #authorize(request: IncomingMessage): void {
    const given = Buffer.from(request.headers['proxy-authorization'] ?? '');
    const expected = this.#authorization;
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw new Refusal('e3 proxy password');
  }

  async #goal(target: string): Promise<Goal> {
    const url = URL.parse(target);
    if (url === null || url.hostname === '') throw new Refusal(REFUSALS.notAllowed);
    const host = url.hostname;
    const port = url.port === '' ? 80 : Number(url.port);
    const { guard, server } = this.#options;
    if (server !== undefined) {
      if (port !== server.port && port < 1024) throw new Refusal(REFUSALS.notAllowed);
      return { host: server.host, port, address: server.address };
    }
    const allowed = await guard.check(host, port);
    return { host: allowed.host, port, address: allowed.addresses[0] ?? allowed.host };
  }

  async #connect({ host, port, address }: Goal, scheme: 'http' | 'https'): Promise<Socket> {
    const upstream = proxyFor(scheme, host, this.#options.environment ?? process.env);
    const socket = this.own(
      upstream === null
        ? await dial(address, port)
        : await connectThrough(upstream, host, port, async (proxy) => await dial(proxy.host, proxy.port)),
    );
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    return socket;
  }
}

async function dial(host: string, port: number): Promise<Socket> {
  const socket = connect({ host: host.replace(/^\[|\]$/g, ''), port });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_MS) });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  if (isBackupError(error, 'HOST_NOT_ALLOWED') || isBackupError(error, 'ERR_SOURCE_CONFIG')) return REFUSALS.notAllowed;
  if (isBackupError(error, 'ERR_HOST_UNKNOWN') || codeOf(error) === 'ENOTFOUND') return REFUSALS.unknown;
  return codeOf(error) === 'ECONNREFUSED' ? REFUSALS.refused : REFUSALS.unreachable;
}

function statusOf(error: unknown): number {
  const reason = reasonOf(error);
  return reason === REFUSALS.unknown || reason === REFUSALS.refused || reason === REFUSALS.unreachable ? 502 : 403;
}

function codeOf(error: unknown): unknown {
  return (error as NodeJS.ErrnoException).code;
}

function refuse(response: ServerResponse, status: number, reason: string): void {
  response.writeHead(status, reason, { 'content-length': 0, connection: 'close' });
  response.end();
}
