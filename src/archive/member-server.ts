import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { isBackupError } from '../errors/backup-error.ts';
import { isTransient } from '../errors/catalogue.ts';
import { FormatError } from '../layout/entries.ts';
import type { Entry } from '../layout/types.ts';
import type { BucketAccess } from '../storage/port.ts';
import type { PointMembers } from './point-members.ts';

const REGION = 'us-east-1';

/** A read-only S3 endpoint on loopback. */
export interface MemberServer {
  /** To be given to the transfer program, by environment. */
  readonly access: BucketAccess;
  close(): Promise<void>;
}

/**
 * Presents the files of a point as plain objects, so that the same program that copies objects copies them. It answers GET and HEAD, also for
 * ranges, to whoever signs with its random credentials (AWS Signature Version 4), and to nobody else; it listens on loopback only.
 * @param bucket and `prefix` as which the job's keys are asked for
 */
export async function serveMembers(
  members: PointMembers,
  { bucket, prefix }: { readonly bucket: string; readonly prefix: string },
): Promise<MemberServer> {
  const accessKey = randomBytes(15).toString('hex');
  const secretKey = randomBytes(30).toString('base64url');
  const answer = new Answers(members, { root: `${bucket}/${prefix}`, accessKey, secretKey });
  const server = createServer((request, response) => {
    answer.give(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    access: { endpoint: `http://127.0.0.1:${port}`, region: REGION, bucket, accessKey, secretKey, provider: 'Other' },
    close: async () => await closed(server),
  };
}

async function closed(server: Server): Promise<void> {
  const over = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await over;
}

interface Identity {
  /** `<bucket>/<prefix>` */
  readonly root: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

class Answers {
  readonly #members: PointMembers;
  readonly #identity: Identity;

  constructor(members: PointMembers, identity: Identity) {
    this.#members = members;
    this.#identity = identity;
  }

  async give(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    if (!isSigned(request, this.#identity)) return refuse(response, 403, 'SignatureDoesNotMatch');
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'MethodNotAllowed');
    try {
      const entry = await this.#find(request);
      if (entry === null) return refuse(response, 404, 'NoSuchKey');
      await this.#send(entry, request, response);
    } catch (error) {
      // Once bytes were sent, a cut connection is the only way to say that they are not all.
      if (response.headersSent) response.destroy();
      else refuse(response, ...refusalFor(error));
    }
  }

  async #find({ url = '' }: IncomingMessage): Promise<Entry | null> {
    const path = decodeURIComponent(url.replace(/\?.*$/s, '').slice(1));
    const { root } = this.#identity;
    return path.startsWith(root) ? await this.#members.find(path.slice(root.length)) : null;
  }

  async #send(entry: Entry, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const range = rangeOf(request.headers.range, entry.size);
    if (range === 'beyond') return refuse(response, 416, 'InvalidRange');
    const { first, last } = range ?? { first: 0, last: entry.size - 1 };
    const headers = {
      'content-length': String(last - first + 1),
      'content-type': 'application/octet-stream',
      'accept-ranges': 'bytes',
      etag: etagOf(entry),
      'last-modified': new Date(entry.mtime).toUTCString(),
      'x-amz-meta-mtime': secondsOf(entry.mtime),
      ...(range === null ? {} : { 'content-range': `bytes ${first}-${last}/${entry.size}` }),
    };
    const status = range === null ? 200 : 206;
    if (request.method === 'HEAD') return void response.writeHead(status, headers).end();
    const content = await this.#members.stream(entry, first);
    if (content === null) return refuse(response, 404, 'NoSuchKey');
    const pieces = limited(content, last - first + 1);
    // What is wrong with it mostly shows with the first piece: then the status can still say so.
    const head = await pieces.next();
    response.writeHead(status, headers);
    if (head.done !== true) response.write(head.value);
    await pipeline(pieces, response);
  }
}

async function* limited(pieces: AsyncIterable<Buffer>, bytes: number): AsyncGenerator<Buffer> {
  let left = bytes;
  if (left === 0) return;
  for await (const piece of pieces) {
    yield piece.subarray(0, left);
    left -= piece.length;
    if (left <= 0) return;
  }
}

/** One range, from a byte on or between two; null: the whole. */
function rangeOf(header: string | undefined, size: number): { first: number; last: number } | 'beyond' | null {
  const match = /^bytes=(\d+)-(\d*)$/.exec(header ?? '');
  if (match === null) return null;
  const first = Number(match[1]);
  const last = match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  return first >= size || last < first ? 'beyond' : { first, last };
}

/** Only what is an MD5 may look like one. */
function etagOf({ hash, path }: Entry): string {
  if (hash !== null) return `"${hash.slice('md5:'.length)}"`;
  return `"${createHash('md5').update(path).digest('hex')}-1"`;
}

/** As rclone writes it: seconds since 1970 with their fraction. */
function secondsOf(mtime: string): string {
  const fraction = /\.(\d+)Z$/.exec(mtime)?.[1] ?? '';
  const seconds = Math.floor(Date.parse(mtime.replace(/\.\d+/, '')) / 1000);
  // Before 1970 digits would count the other way.
  return fraction === '' || seconds < 0 ? String(seconds) : `${seconds}.${fraction}`;
}

/** What comes again is told as such, so that it is tried again; what is damaged stays so. */
function refusalFor(error: unknown): [number, string] {
  if (error instanceof FormatError) return [409, 'E3ArchiveDamaged'];
  if (isBackupError(error) && isTransient(error.code)) return [503, 'ServiceUnavailable'];
  return [409, isBackupError(error) ? error.code : 'InternalError'];
}

function refuse(response: ServerResponse, status: number, code: string): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  response.writeHead(status, { 'content-type': 'application/xml', 'content-length': String(body.length) });
  response.end(body);
}

/** Signature Version 4 in the `Authorization` header, as AWS describes it. */
function isSigned(request: IncomingMessage, { accessKey, secretKey }: Identity): boolean {
  const { authorization = '' } = request.headers;
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([\w-]+)\/s3\/aws4_request, ?SignedHeaders=([\w;-]+), ?Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  if (match === null || match[1] !== accessKey) return false;
  const [, , day = '', region = '', names = '', signature = ''] = match;
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', String(request.headers['x-amz-date']), scope, digest(canonical(request, names))];
  let key: Buffer = Buffer.from(`AWS4${secretKey}`);
  for (const part of [day, region, 's3', 'aws4_request']) key = hmac(key, part);
  return timingSafeEqual(hmac(key, text.join('\n')), Buffer.from(signature, 'hex'));
}

function canonical({ method = '', url = '', headers }: IncomingMessage, names: string): string {
  const [path = '', query = ''] = url.split('?', 2);
  const signed = names.split(';').map(
    (name) =>
      `${name}:${String(headers[name] ?? '')
        .trim()
        .replace(/ +/g, ' ')}\n`,
  );
  const parameters = query === '' ? [] : query.split('&').map((one) => (one.includes('=') ? one : `${one}=`));
  const parts = [method, path, parameters.sort().join('&'), signed.join(''), names];
  return [...parts, String(headers['x-amz-content-sha256'] ?? '')].join('\n');
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
