import { readFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { connect as tlsConnect, rootCertificates, type TLSSocket } from 'node:tls';
import { BackupError } from '../../errors/backup-error.ts';

/** One request to a provider's API. */
export interface CloudRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

export interface CloudAnswer {
  readonly status: number;
  /** Parsed body; null where it is no JSON. */
  readonly json: unknown;
  /** How long to wait, where the answer says so; at most ten minutes. */
  readonly retryAfterMs: number | null;
}

/**
 * HTTPS to Google and Dropbox, hosts that no customer chooses. Goes through the proxy of the operator's network (`HTTPS_PROXY`,
 * `NO_PROXY`), and trusts beside the usual authorities those of `SSL_CERT_FILE`: the same settings that the transfer program follows.
 */
export interface CloudHttp {
  /** @throws BackupError `ERR_NETWORK`, `ERR_HOST_UNKNOWN`, `ERR_CONNECTION_REFUSED`, `ERR_TLS` (no answer); the signal's reason */
  send(request: CloudRequest): Promise<CloudAnswer>;
}

type Environment = Readonly<Record<string, string | undefined>>;

const TIMEOUT_MS = 15_000;
const LARGEST_ANSWER = 8 * 1024 * 1024;

export function cloudHttp(env: Environment = process.env): CloudHttp {
  let authorities: string[] | undefined;
  const trusted = (): string[] | undefined => {
    const file = env['SSL_CERT_FILE'];
    if (!file) return undefined;
    return (authorities ??= [...rootCertificates, readFileSync(file, 'utf8')]);
  };
  return {
    async send(given) {
      const url = new URL(given.url);
      const limit = AbortSignal.timeout(TIMEOUT_MS);
      const signal = given.signal === undefined ? limit : AbortSignal.any([given.signal, limit]);
      try {
        return await exchange(given, url, await openTunnel(url, proxyFor(url, env), trusted(), signal), signal);
      } catch (error) {
        if (given.signal?.aborted) throw given.signal.reason;
        throw networkError(error);
      }
    },
  };
}

/** The proxy for a host by the usual variables, or null. */
function proxyFor(url: URL, env: Environment): URL | null {
  const given = env['HTTPS_PROXY'] ?? env['https_proxy'] ?? '';
  if (given === '') return null;
  const exceptions = (env['NO_PROXY'] ?? env['no_proxy'] ?? '').split(',').map((name) => name.trim().toLowerCase());
  const spared = exceptions.some((name) => {
    const bare = name.replace(/^\*?\./, '');
    return name === '*' || (bare !== '' && (url.hostname === bare || url.hostname.endsWith(`.${bare}`)));
  });
  return spared ? null : URL.parse(given.includes('://') ? given : `http://${given}`);
}

async function openTunnel(
  url: URL,
  proxy: URL | null,
  ca: string[] | undefined,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const under = proxy === null ? null : await connectThrough(proxy, `${url.hostname}:${url.port || '443'}`, signal);
  signal.throwIfAborted();
  return await new Promise((resolve, reject) => {
    const socket = tlsConnect({
      ...(under === null ? { host: url.hostname, port: Number(url.port || 443) } : { socket: under }),
      servername: url.hostname,
      ALPNProtocols: ['http/1.1'],
      ...(ca === undefined ? {} : { ca }),
    });
    const stop = (): void => void socket.destroy(new Error('no answer in time'));
    signal.addEventListener('abort', stop, { once: true });
    socket.once('error', reject);
    socket.once('close', () => signal.removeEventListener('abort', stop));
    socket.once('secureConnect', () => resolve(socket));
  });
}

/** RFC 9110, CONNECT. */
async function connectThrough(proxy: URL, authority: string, signal: AbortSignal): Promise<Socket> {
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return await new Promise((resolve, reject) => {
    const asked = (proxy.protocol === 'https:' ? tlsRequest : plainRequest)({
      host: proxy.hostname,
      port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
      method: 'CONNECT',
      path: authority,
      headers: {
        host: authority,
        ...(proxy.username === ''
          ? {}
          : { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` }),
      },
      signal,
      agent: false,
    });
    asked.once('connect', (answer, socket) => {
      if (answer.statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new Error(`the proxy answered ${answer.statusCode}`));
    });
    asked.once('error', reject);
    asked.end();
  });
}

async function exchange(given: CloudRequest, url: URL, socket: TLSSocket, signal: AbortSignal): Promise<CloudAnswer> {
  return await new Promise((resolve, reject) => {
    const body = given.body === undefined ? null : Buffer.from(given.body);
    const asked = tlsRequest(url, {
      method: given.method,
      headers: {
        accept: 'application/json',
        ...given.headers,
        ...(body === null ? {} : { 'content-length': String(body.length) }),
        connection: 'close',
      },
      // Without an agent: one would open a connection of its own.
      createConnection: () => socket,
      signal,
    });
    asked.once('error', reject);
    asked.once('response', (answer) => {
      const parts: Buffer[] = [];
      let length = 0;
      answer.on('data', (part: Buffer) => {
        parts.push(part);
        length += part.length;
        if (length > LARGEST_ANSWER) answer.destroy(new Error('the answer is too large'));
      });
      answer.once('error', reject);
      answer.once('end', () => {
        resolve({
          status: answer.statusCode ?? 0,
          json: parsed(Buffer.concat(parts).toString('utf8')),
          retryAfterMs: retryAfter(answer.headers['retry-after']),
        });
      });
    });
    asked.end(body ?? undefined);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

const LONGEST_WAIT_MS = 600_000;

/** Seconds, or a date. */
function retryAfter(header: string | undefined): number | null {
  if (header === undefined) return null;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), LONGEST_WAIT_MS);
}

function networkError(cause: unknown): BackupError {
  const { code = '', message = '' } = cause as NodeJS.ErrnoException;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return new BackupError('ERR_HOST_UNKNOWN', undefined, { cause });
  if (code === 'ECONNREFUSED') return new BackupError('ERR_CONNECTION_REFUSED', undefined, { cause });
  if (/^(?:CERT_|ERR_TLS_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/.test(code) || /certificate|self.signed/i.test(message))
    return new BackupError('ERR_TLS', undefined, { cause });
  return new BackupError('ERR_NETWORK', undefined, { cause });
}
