import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { toolPath } from '../../src/engines/tools.ts';
import { ensureBucket } from '../../src/storage/s3.ts';
import { freePort } from './ports.ts';
import type { S3Server } from './rclone-serve.ts';

/**
 * SeaweedFS on a temporary folder (below `base`), every component on a free port of loopback. `provider` is how clients are told to
 * speak to it. `vacuum` gives the space of deleted objects back.
 */
export async function startSeaweedFs(
  options: {
    provider?: 'Ceph' | 'Other';
    base?: string;
    keys?: { accessKey: string; secretKey: string };
    flags?: readonly string[];
  } = {},
): Promise<S3Server & { vacuum(): Promise<void> }> {
  const folder = mkdtempSync(join(options.base ?? tmpdir(), 'e3-seaweedfs-'));
  const { accessKey, secretKey } = options.keys ?? {
    accessKey: 'seaweedfs-test-access',
    secretKey: 'seaweedfs-test-secret',
  };
  const identity = {
    name: 'test',
    credentials: [{ accessKey, secretKey }],
    actions: ['Admin', 'Read', 'Write', 'List'],
  };
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 's3.json'), JSON.stringify({ identities: [identity] }));
  const ports = await Promise.all(PORT_FLAGS.map(freePort));
  const child = spawn(
    toolPath('weed'),
    [
      'mini',
      `-dir=${folder}/data`,
      '-ip=127.0.0.1',
      '-ip.bind=127.0.0.1',
      `-s3.config=${folder}/s3.json`,
      `-filer.localSocket=${folder}/filer.sock`,
      `-s3.localSocket=${folder}/s3.sock`,
      '-s3.autoCreateBucket=false',
      '-s3.port.iceberg=0',
      '-admin.ui=false',
      '-webdav=false',
      ...PORT_FLAGS.map((flag, index) => `-${flag}=${ports[index]}`),
      ...(options.flags ?? []),
    ],
    { stdio: 'ignore', cwd: folder, env: { PATH: process.env['PATH'], HOME: folder } },
  );
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      // A graceful stop takes up to half a minute, and there is nothing to keep.
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const endpoint = `http://127.0.0.1:${ports[0]}`;
  const access: S3Server['access'] = (bucket) => ({
    endpoint,
    region: 'us-east-1',
    bucket,
    accessKey,
    secretKey,
    provider: options.provider ?? 'Other',
  });
  // The S3 port answers before the parts behind it do: ready is what takes a bucket.
  for (const end = Date.now() + 60_000; ; await delay(100)) {
    try {
      await ensureBucket(access('readiness'), { attempts: 1 });
      break;
    } catch (error) {
      if (child.exitCode === null && Date.now() < end) continue;
      await stop();
      throw new Error('SeaweedFS did not start', { cause: error });
    }
  }
  return {
    ...{ endpoint, pid: child.pid ?? 0, access, stop },
    async vacuum() {
      const master = ports[PORT_FLAGS.indexOf('master.port')];
      const answer = await fetch(`http://127.0.0.1:${master}/vol/vacuum?garbageThreshold=0.001`);
      if (!answer.ok) throw new Error(`SeaweedFS does not tidy up: ${await answer.text()}`);
    },
  };
}

const PORT_FLAGS = [
  's3.port',
  's3.port.grpc',
  's3.port.lance',
  'master.port',
  'master.port.grpc',
  'volume.port',
  'volume.port.grpc',
  'filer.port',
  'filer.port.grpc',
  'admin.port',
  'admin.port.grpc',
];
