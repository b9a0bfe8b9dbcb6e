import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import aws4 from 'aws4';
import type { BucketAccess } from '../port.ts';
import { isWorthRetrying, S3Failure } from './failure.ts';
import { parseError } from './xml.ts';

export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Object key; absent for requests to the bucket. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Pieces of a body are sent one after the other; a request with them has to bring `x-amz-content-sha256`. */
  readonly body?: Buffer | readonly Buffer[];
  readonly signal?: AbortSignal | undefined;
}

export interface ConnectionOptions {
  /** Without an answer to a connection attempt. Default 10 s. */
  readonly connectTimeoutMs?: number;
  /** Without a byte in either direction. Default 60 s. */
  readonly idleTimeoutMs?: number;
  /** Attempts of one request, the first included. Default 5. */
  readonly attempts?: number;
  /** Wait before the second attempt; doubles with each further one, with jitter. Default 200 ms. */
  readonly backoffMs?: number;
}

/** One pool for each scheme and process: connections are kept by host, however many stores are open. */
const POOL = { keepAlive: true, maxSockets: 32, maxFreeSockets: 32, scheduling: 'lifo' } as const;
const httpAgent = new HttpAgent(POOL);
const httpsAgent = new HttpsAgent(POOL);

const EMPTY_SHA256 = createHash('sha256').digest('hex');
const LONGEST_BACKOFF_MS = 20_000;
const CLOCK_TOLERANCE_MS = 4 * 60_000;
const LONGEST_ERROR_BODY = 64 * 1024;

/** Sends signed requests (AWS Signature Version 4) to one bucket, and repeats them while that may help. */
export class S3Connection {
  readonly bucket: string;
  readonly #access: BucketAccess;
  readonly #endpoint: URL;
  /** What precedes a key in the path: `/`, or `/<bucket>/` in path style. */
  readonly #root: string;
  readonly #connectTimeoutMs: number;
  readonly #idleTimeoutMs: number;
  readonly #attempts: number;
  readonly #backoffMs: number;
  /** Server's clock minus ours, once the server has complained about it. */
  #clockOffsetMs = 0;

  constructor(access: BucketAccess, options: ConnectionOptions = {}) {
    this.#access = access;
    this.bucket = access.bucket;
    const { endpoint, root } = addressOf(access);
    this.#endpoint = endpoint;
    this.#root = root;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 10_000;
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 60_000;
    this.#attempts = options.attempts ?? 5;
    this.#backoffMs = options.backoffMs ?? 200;
  }

  /**
   * Sends until `read` has taken a successful answer. `read` may run more than once.
   * @throws S3Failure, or the reason of the signal.
   */
  async send<T>(request: S3Request, read: (answer: IncomingMessage) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      request.signal?.throwIfAborted();
      try {
        return await this.#sendOnce(request, read);
      } catch (error) {
        request.signal?.throwIfAborted();
        const failure = asFailure(error);
        const retried = isWorthRetrying(failure) || this.#learnedClock(failure);
        if (!retried || attempt >= this.#attempts) throw failure;
        await delay(this.#waitMs(attempt, failure), undefined, request.signal ? { signal: request.signal } : {});
      }
    }
  }

  async #sendOnce<T>(request: S3Request, read: (answer: IncomingMessage) => Promise<T>): Promise<T> {
    const answer = await this.#exchange(request);
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return await read(answer);
    const body = await readBody(answer, LONGEST_ERROR_BODY);
    const { code, message } =
      // An answer to HEAD has no body.
      request.method === 'HEAD' && status === 404
        ? { code: 'NoSuchKey', message: '' }
        : parseError(body.toString('utf8'));
    throw new S3Failure(status, code, message || `HTTP ${status}`, {
      retryAfterMs: retryAfterMs(answer),
      cause: { date: answer.headers.date },
    });
  }

  #exchange(request: S3Request): Promise<IncomingMessage> {
    const path = this.#root + encodeKey(request.key ?? '') + encodeQuery(request.query);
    const secure = this.#endpoint.protocol === 'https:';
    return new Promise((resolve, reject) => {
      const sent = (secure ? httpsRequest : httpRequest)(
        {
          method: request.method,
          hostname: this.#endpoint.hostname.replace(/^\[|\]$/g, ''),
          port: this.#endpoint.port === '' ? (secure ? 443 : 80) : Number(this.#endpoint.port),
          path,
          headers: this.#signedHeaders(request, path),
          agent: secure ? httpsAgent : httpAgent,
          timeout: this.#idleTimeoutMs,
          ...(this.#access.lookup ? { lookup: this.#access.lookup } : {}),
          ...(request.signal ? { signal: request.signal } : {}),
        },
        resolve,
      );
      sent.once('timeout', () => sent.destroy(new S3Failure(0, 'ETIMEDOUT', 'the server fell silent')));
      sent.once('socket', (socket) => {
        if (!socket.connecting) return;
        const timer = setTimeout(
          () => sent.destroy(new S3Failure(0, 'ETIMEDOUT', 'no connection in time')),
          this.#connectTimeoutMs,
        );
        const stop = (): void => clearTimeout(timer);
        socket.once(secure ? 'secureConnect' : 'connect', stop);
        socket.once('close', stop);
      });
      sent.once('error', reject);
      for (const piece of piecesOf(request)) sent.write(piece);
      sent.end();
    });
  }

  #signedHeaders(request: S3Request, path: string): Record<string, string> {
    const headers: Record<string, string> = {
      host: this.#endpoint.host,
      'user-agent': 'e3-cloudbackup',
      'x-amz-date': new Date(Date.now() + this.#clockOffsetMs).toISOString().replace(/[:-]|\.\d{3}/g, ''),
      ...(request.method === 'PUT' || request.method === 'POST'
        ? { 'content-length': String(piecesOf(request).reduce((sum, { length }) => sum + length, 0)) }
        : {}),
      ...request.headers,
      'x-amz-content-sha256': request.headers?.['x-amz-content-sha256'] ?? digestOf(request),
    };
    const signed = aws4.sign(
      { service: 's3', region: this.#access.region || 'us-east-1', method: request.method, path, headers },
      { accessKeyId: this.#access.accessKey, secretAccessKey: this.#access.secretKey },
    );
    // Servers sign what metadata says, which is UTF-8; Node writes header text as Latin-1.
    return Object.fromEntries(
      Object.entries(signed.headers ?? {}).map(([name, value]) => [
        name,
        /^[\x20-\x7e]*$/.test(String(value)) ? String(value) : Buffer.from(String(value), 'utf8').toString('latin1'),
      ]),
    );
  }

  /**
   * A clock that is off by some minutes invalidates every signature. Servers name that error differently; that the `Date` of a refusal is
   * far from our time says it surely.
   */
  #learnedClock(failure: S3Failure): boolean {
    if (failure.status !== 400 && failure.status !== 403) return false;
    const serverMs = Date.parse((failure.cause as { date?: string } | undefined)?.date ?? '');
    if (!(Math.abs(serverMs - Date.now() - this.#clockOffsetMs) > CLOCK_TOLERANCE_MS)) return false;
    this.#clockOffsetMs = serverMs - Date.now();
    return true;
  }

  #waitMs(attempt: number, failure: S3Failure): number {
    const backoff = this.#backoffMs * 2 ** (attempt - 1) * (0.5 + Math.random());
    return Math.min(LONGEST_BACKOFF_MS, Math.max(backoff, failure.retryAfterMs ?? 0));
  }
}

function piecesOf({ body }: S3Request): readonly Buffer[] {
  if (body === undefined) return [];
  return Buffer.isBuffer(body) ? [body] : body;
}

function digestOf(request: S3Request): string {
  const pieces = piecesOf(request);
  if (pieces.length === 0) return EMPTY_SHA256;
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}

/** The whole body, or its beginning where it is longer than `limitBytes`. @throws when it ends early */
export async function readBody(answer: IncomingMessage, limitBytes = Number.POSITIVE_INFINITY): Promise<Buffer> {
  return (await readUpTo(answer, limitBytes)).bytes;
}

/** As `readBody`; tells whether it is the whole. The rest of a longer one is not read: its connection is dropped. */
export async function readUpTo(
  answer: IncomingMessage,
  limitBytes: number,
): Promise<{ readonly bytes: Buffer; readonly whole: boolean }> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > limitBytes) {
      answer.destroy();
      break;
    }
    parts.push(part);
  }
  const body = parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
  return { bytes: body, whole: bytes <= limitBytes };
}

/** Percent-encodes all but unreserved characters (RFC 3986); slashes stay. A lone surrogate has no UTF-8 form and is refused. */
export function encodeKey(key: string): string {
  if (!key.isWellFormed()) throw new S3Failure(400, 'InvalidURI', 'the key is not valid Unicode');
  return key.split('/').map(encodeStrictly).join('/');
}

function encodeQuery(query: S3Request['query']): string {
  if (query === undefined) return '';
  return `?${Object.entries(query)
    .map(([name, value]) => `${encodeStrictly(name)}=${encodeStrictly(value)}`)
    .join('&')}`;
}

function encodeStrictly(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Path style everywhere but on AWS, where only buckets with a dot need it (no certificate covers their host name). */
function addressOf(access: BucketAccess): { endpoint: URL; root: string } {
  const aws = access.provider === 'AWS';
  const given = access.endpoint || (aws ? `https://s3.${access.region || 'us-east-1'}.amazonaws.com` : '');
  const endpoint = URL.parse(/^https?:\/\//i.test(given) ? given : `https://${given}`);
  if (endpoint === null || given === '') throw new S3Failure(400, 'InvalidEndpoint', 'the endpoint is not an address');
  const base = endpoint.pathname.replace(/\/+$/, '');
  if (aws && /\.amazonaws\.com(?:\.cn)?$/.test(endpoint.hostname) && !access.bucket.includes('.')) {
    endpoint.hostname = `${access.bucket}.${endpoint.hostname}`;
    return { endpoint, root: '/' };
  }
  return { endpoint, root: `${base}/${encodeKey(access.bucket)}/` };
}

function asFailure(error: unknown): S3Failure {
  if (error instanceof S3Failure) return error;
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return new S3Failure(0, typeof code === 'string' ? code : '', String(message ?? error), { cause: error });
}

function retryAfterMs(answer: IncomingMessage): number | null {
  const seconds = Number(answer.headers['retry-after']);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : null;
}
