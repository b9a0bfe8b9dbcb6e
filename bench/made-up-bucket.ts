import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { BucketAccess } from '../src/storage/port.ts';

export interface MadeUpObject {
  readonly key: string;
  readonly size: number;
  readonly md5: string;
  readonly mtime: string;
}

/** The same for the same number; keys sort as the numbers do. */
export function madeUpObject(index: number): MadeUpObject {
  const key = `projects/${padded(index / 10_000, 4)}/documents ${padded(index / 100, 6)}/report-${padded(index, 7)}.pdf`;
  const md5 = createHash('md5').update(key).digest('hex');
  return { key: key.replace(' ', '%20'), size: 1_000 + (index % 5_000), md5, mtime: '2025-11-12T13:14:15.000Z' };
}

function padded(number: number, digits: number): string {
  return String(Math.floor(number)).padStart(digits, '0');
}

/** Serves the listing of a bucket with as many objects; nothing else of it exists. */
export async function startMadeUpBucket(count: number): Promise<{ access: BucketAccess; stop(): void }> {
  const program = fileURLToPath(new URL('./made-up-bucket.process.ts', import.meta.url));
  const child = fork(program, [String(count)]);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return {
    access: {
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      bucket: 'bucket',
      accessKey: 'anybody',
      secretKey: 'anything',
      provider: 'Other',
    },
    stop: () => child.disconnect(),
  };
}
