import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import type { DigestOrder } from './part-digests.ts';

parentPort?.on('message', ({ number, memory, bytes }: DigestOrder) => {
  const md5 = createHash('md5')
    .update(new Uint8Array(memory, 0, bytes))
    .digest('base64');
  parentPort?.postMessage({ number, md5 });
});
