import { ensureBucket } from '../src/storage/s3.ts';
import { startSeaweedFs } from '../test/servers/seaweedfs.ts';
import { plainDelete } from './plain-rclone.ts';
import { storage, type BenchServer } from './servers.ts';

/**
 * SeaweedFS, for what is written to: like the storage that buckets lie on, and unlike `rclone serve s3`, it counts the MD5 sums of what
 * it takes in, and need not read new objects again to list them.
 */
export async function startStore(options: { flags?: readonly string[] } = {}): Promise<BenchServer> {
  const bucket = 'bucket';
  // The account that an installation has for `rclone serve s3`.
  const keys = { accessKey: 'rclone-test-access', secretKey: 'rclone-test-secret' };
  const server = await startSeaweedFs({ base: storage, keys, ...options });
  const access = server.access(bucket);
  await ensureBucket(access);
  return {
    ...{ near: access, access },
    setDelay: async () => Promise.reject(new Error('this server is not distant')),
    async discard(folder) {
      await plainDelete(access, folder);
      await server.vacuum();
    },
    stop: server.stop,
  };
}
