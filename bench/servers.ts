import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BucketAccess } from '../src/storage/port.ts';
import { startRcloneS3 } from '../test/servers/rclone-serve.ts';

/** An S3 server of its own process with one bucket, near or behind a delay. */
export interface BenchServer {
  /** What is measured goes through here. */
  readonly access: BucketAccess;
  /** The same bucket without delay, for what is not measured. */
  readonly near: BucketAccess;
  /** Milliseconds in each direction; only with `distant`. */
  setDelay(delayMs: number): Promise<void>;
  /** Removes everything below a folder of the bucket. Nothing may be written there again. */
  discard(folder: string): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Buckets lie in memory (/dev/shm) where there is such a file system, so that neither side waits for a disk: what is measured is the
 * programs, and a run of 2 GiB that the kernel writes back would slow down the one that comes after it.
 */
export const storage = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export function benchFolder(): string {
  return mkdtempSync(join(storage, 'e3-bench-'));
}

/**
 * `rclone serve s3`, with `fill` called before it starts. It forgets no folder, so that MD5 sums, which it reads from the files, are
 * made once and known from then on, as in any store: the unmeasured first pair warms them for both sides.
 */
export async function startServer(
  options: { distant?: boolean; flags?: readonly string[]; fill?: (folder: string) => void } = {},
): Promise<BenchServer> {
  const base = benchFolder();
  const bucket = 'bucket';
  const folder = join(base, bucket);
  mkdirSync(folder);
  options.fill?.(folder);
  const server = await startRcloneS3({ folder: base, flags: ['--dir-cache-time', '24h', ...(options.flags ?? [])] });
  const near = server.access(bucket);
  const proxy = options.distant ? await startProxy(new URL(server.endpoint).port) : null;
  return {
    near,
    access: proxy === null ? near : { ...near, endpoint: `http://127.0.0.1:${proxy.port}` },
    async setDelay(delayMs) {
      if (proxy === null) throw new Error('this server is not distant');
      const set = once(proxy.child, 'message');
      proxy.child.send({ delayMs });
      await set;
    },
    discard: async (name) => rmSync(join(folder, name), { recursive: true, force: true }),
    async stop() {
      proxy?.child.disconnect();
      await server.stop();
      rmSync(base, { recursive: true, force: true });
    },
  };
}

/** A TCP proxy in front of a port of this machine, without delay until it is told one. */
export async function startProxy(targetPort: string): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(fileURLToPath(new URL('./delay-proxy.ts', import.meta.url)), [targetPort]);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { child, port };
}
