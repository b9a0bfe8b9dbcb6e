import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { PartReader } from '../../src/engines/port.ts';
import { readS3 } from '../../src/sources/read-s3.ts';

const BODY = Buffer.from('0123456789'.repeat(30_000));
const FILE = { path: 'file', size: BODY.length };
const RANGE = { first: 100_000, last: 199_999 };

/** A bucket with one object, which answers as each test says. */
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let server: Server;
let parts: PartReader;
let asked: (string | undefined)[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(request.headers.range);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const reader = readS3(
    {
      kind: 's3',
      prefix: '',
      access: {
        endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        ...{ region: 'us-east-1', bucket: 'b', accessKey: 'a', secretKey: 's', provider: 'Other' },
      },
    },
    { signal: new AbortController().signal },
  );
  if (reader.parts === undefined) throw new Error('S3 gives parts');
  ({ parts } = reader);
});
beforeEach(() => void (asked = []));
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function part(response: ServerResponse, headers: Record<string, string> = {}): void {
  response.writeHead(206, {
    'content-range': `bytes ${RANGE.first}-${RANGE.last}/${BODY.length}`,
    ...{ etag: '"one"', 'last-modified': 'Sun, 01 Mar 2026 10:20:30 GMT', 'content-length': '100000' },
    ...headers,
  });
}

const CONTENT = BODY.subarray(RANGE.first, RANGE.last + 1);

async function readPart(): Promise<{ version: string | null; bytes: Buffer }> {
  const bytes = Buffer.alloc(CONTENT.length);
  return { version: await parts.read(FILE, RANGE.first, bytes), bytes };
}

describe('a part of an object', () => {
  it('comes with what the server says of its version', async () => {
    answer = (_request, response) => {
      part(response);
      response.end(CONTENT);
    };
    const one = await readPart();
    expect(one.version).not.toBeNull();
    expect(one.bytes.equals(CONTENT)).toBe(true);
    expect(asked).toEqual(['bytes=100000-199999']);
    answer = (_request, response) => {
      part(response, { etag: '"two"' });
      response.end(CONTENT);
    };
    expect((await readPart()).version).not.toBe(one.version);
  });

  it('that breaks off is asked for again', async () => {
    answer = (_request, response) => {
      part(response);
      if (asked.length < 3) response.write(CONTENT.subarray(0, 50_000), () => setImmediate(() => response.destroy()));
      else response.end(CONTENT);
    };
    const again = await readPart();
    expect(asked).toHaveLength(3);
    expect(again.bytes.equals(CONTENT)).toBe(true);
  });

  it.each<[string, (response: ServerResponse) => void]>([
    ['sends all of the object', (response) => void response.writeHead(200, { etag: '"one"' }).end(BODY)],
    [
      'sends all of it and calls it a part',
      (response) => {
        part(response, { 'content-range': `bytes 0-${BODY.length - 1}/${BODY.length}`, 'content-length': '300000' });
        response.end(BODY);
      },
    ],
    [
      'sends more than it says',
      (response) => {
        part(response, { 'content-length': '300000' });
        response.end(BODY);
      },
    ],
    [
      'sends less than it says',
      (response) => {
        part(response, { 'content-length': '50000' });
        response.end(CONTENT.subarray(0, 50_000));
      },
    ],
    [
      'has a larger object by now',
      (response) => {
        part(response, { 'content-range': `bytes ${RANGE.first}-${RANGE.last}/${BODY.length + 1}` });
        response.end(CONTENT);
      },
    ],
    [
      'sends another part',
      (response) => {
        response.writeHead(200, { 'content-range': `bytes 0-99999/${BODY.length}`, 'content-length': '100000' });
        response.end(CONTENT);
      },
    ],
    ['has a shorter object by now', (response) => void response.writeHead(416).end()],
    [
      'has no such object any more',
      (response) => void response.writeHead(404).end('<Error><Code>NoSuchKey</Code><Message></Message></Error>'),
    ],
  ])('is none where the server %s', async (_, send) => {
    answer = (_request, response) => send(response);
    expect((await readPart()).version).toBeNull();
    expect(asked).toHaveLength(1);
  });

  it('that may not be read says so', async () => {
    answer = (_request, response) =>
      void response.writeHead(403).end('<Error><Code>AccessDenied</Code><Message></Message></Error>');
    await expect(readPart()).rejects.toMatchObject({ code: 'ERR_PERMISSION' });
  });
});
