import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { expect, it } from '@jest/globals';
import express from 'express';
import { ReaderGone, sendStream } from '../../src/http/stream-answer.ts';

it('a download whose reader takes nothing any more is given up, and what it held is given back', async () => {
  const ended = Promise.withResolvers<unknown>();
  let closed = 0;
  const app = express();
  app.get('/', (_request, response) => {
    const answer = {
      fileName: 'endless',
      contentType: 'application/octet-stream',
      length: null,
      async *body(signal: AbortSignal) {
        while (!signal.aborted) yield await Promise.resolve(Buffer.alloc(1024 * 1024));
      },
      close: async () => await Promise.resolve(void (closed += 1)),
    };
    sendStream(response, answer, 200).then(ended.resolve, ended.resolve);
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const reader = connect((server.address() as AddressInfo).port, '127.0.0.1');
  try {
    reader.on('error', () => undefined);
    reader.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(reader, 'readable');
    expect(await ended.promise).toBeInstanceOf(ReaderGone);
    expect(closed).toBe(1);
  } finally {
    reader.destroy();
    server.closeAllConnections();
    server.close();
  }
});
