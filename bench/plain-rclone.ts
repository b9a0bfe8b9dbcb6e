import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { JobCipher } from '../src/crypt/job-cipher.ts';
import { copyAllCommand } from '../src/engines/rclone/engine.ts';
import type { RcloneCommand } from '../src/engines/rclone/process.ts';
import { bucketRemote } from '../src/engines/rclone/remotes.ts';
import { transferCommand } from '../src/engines/rclone/transfer.ts';
import { toolPath } from '../src/engines/tools.ts';
import { localPlace, restoreFlags } from '../src/restore/rclone-bulk.ts';
import { parseSource, remoteOf, type RemoteDefinition } from '../src/sources/registry.ts';
import type { BucketAccess } from '../src/storage/port.ts';
import { configSchema } from '../src/worker/config.ts';
import { seconds } from './figures.ts';
import { benchFolder } from './servers.ts';

/**
 * Seconds of `rclone copy` of a whole bucket, by the very command that a run makes of it: no supervision, nothing else around. With a
 * cipher, into rclone crypt.
 */
export async function plainCopy(
  source: BucketAccess,
  destination: BucketAccess,
  targetKey: string,
  cipher: JobCipher | null = null,
): Promise<number> {
  const { transfers, stats_interval: statsSeconds } = configSchema.shape.rclone.parse(undefined);
  const command = copyAllCommand(
    { source: definitionOf(source), hostKey: null, destination, cipher, transfers, statsSeconds, bandwidth: 0 },
    targetKey,
  );
  return await timed(command);
}

/** Seconds of `rclone sync` of a whole bucket as somebody would call it who sets no flag. */
export async function plainSync(source: BucketAccess, destination: BucketAccess, targetKey: string): Promise<number> {
  const remote = (name: string, access: BucketAccess): Record<string, string> => ({
    [`RCLONE_CONFIG_${name}_TYPE`]: 's3',
    [`RCLONE_CONFIG_${name}_PROVIDER`]: access.provider,
    [`RCLONE_CONFIG_${name}_ENDPOINT`]: access.endpoint,
    [`RCLONE_CONFIG_${name}_ACCESS_KEY_ID`]: access.accessKey,
    [`RCLONE_CONFIG_${name}_SECRET_ACCESS_KEY`]: access.secretKey,
  });
  return await timed({
    args: ['sync', `SRC:${source.bucket}`, `DST:${destination.bucket}/${targetKey}`, '--config', ''],
    env: { ...remote('SRC', source), ...remote('DST', destination) },
  });
}

/** Seconds of `rclone sync` of a whole bucket as somebody calls it who has many files: by checksums, listed at once, 64 checkers. */
export async function plainChecksumSync(
  source: BucketAccess,
  destination: BucketAccess,
  targetKey: string,
): Promise<number> {
  const [from, to] = [bucketRemote('SRC', source), bucketRemote('DST', destination)];
  const flags = ['--checksum', '--fast-list', '--checkers', '64', '--transfers', '16', '--config', ''];
  return await timed({ args: ['sync', from.at(''), to.at(targetKey), ...flags], env: { ...from.env, ...to.env } });
}

/** Seconds of `rclone copy` of one folder of a bucket to a folder of this machine, with the flags of a restore. */
export async function plainFetch(from: BucketAccess, key: string): Promise<number> {
  const base = benchFolder();
  const remote = bucketRemote('DST', from);
  const { transfers } = configSchema.shape.rclone.parse(undefined);
  const flags = restoreFlags({ transfers, to: localPlace, existing: 'none' });
  try {
    return await timed(
      transferCommand(
        {
          args: ['copy', remote.at(key), join(base, 'fetched'), ...flags],
          remotes: [remote],
          statsSeconds: 1,
          bandwidth: 0,
        },
        { user: 'e3', password: randomUUID() },
      ),
    );
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

/** Seconds of `rclone delete` of one folder of a bucket, as somebody would call it who sets no flag. */
export async function plainDelete(from: BucketAccess, key: string): Promise<number> {
  const remote = bucketRemote('DST', from);
  return await timed({ args: ['delete', remote.at(key), '--config', ''], env: remote.env });
}

/** What a job's `source_config` says of a bucket. */
export function sourceConfigOf({ endpoint, region, bucket, accessKey, secretKey, provider }: BucketAccess) {
  return { endpoint, region, bucket, access_key: accessKey, secret_key: secretKey, provider };
}

function definitionOf(access: BucketAccess): RemoteDefinition {
  return remoteOf(parseSource({ type: 's3_compatible', config: sourceConfigOf(access), path: '' }));
}

async function timed({ args, env }: RcloneCommand): Promise<number> {
  return await seconds(async () => {
    const child = spawn(toolPath('rclone'), args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      // Like every child of a worker: Linux shares the processors out among sessions first, so one in the servers' session gets another part.
      detached: true,
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4_000)));
    const code = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (code !== 0) throw new Error(`rclone ${args[0]} ended with code ${String(code)}: ${said}`);
  });
}
