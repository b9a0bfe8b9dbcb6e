import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ensureBucket, openS3Store } from '../../src/storage/s3.ts';
import { startCeph } from '../servers/ceph.ts';
import { startRcloneS3, type S3Server } from '../servers/rclone-serve.ts';
import { startSeaweedFs } from '../servers/seaweedfs.ts';
import { memoryModelBucket, realModelBucket } from './faults.ts';
import { playHistory } from './history.ts';

const IN_MEMORY = Array.from({ length: 14 }, (_, i) => i + 1);

describe('random lives of a job', () => {
  it.each(IN_MEMORY)('keep every point byte for byte (in memory, seed %i)', async (seed) => {
    const report = await playHistory({ seed, bucket: memoryModelBucket(), prefix: 'p/', steps: 14 });
    expect(report.points).toBeGreaterThan(0);
  });

  const servers: [string, () => Promise<S3Server>, number[]][] = [
    ['rclone serve s3', () => startRcloneS3(), [101, 102]],
    ['Ceph', startCeph, [107, 108]],
    ['SeaweedFS as Ceph', () => startSeaweedFs({ provider: 'Ceph' }), [103, 104]],
    ['SeaweedFS as Other', () => startSeaweedFs({ provider: 'Other' }), [105, 106]],
  ];
  describe.each(servers)('on %s', (_, start, seeds) => {
    let server: S3Server;
    beforeAll(async () => {
      server = await start();
      await ensureBucket(server.access('model'));
    });
    afterAll(async () => await server.stop());

    it.each(seeds)('keep every point byte for byte (seed %i)', async (seed) => {
      const bucket = realModelBucket(() => openS3Store(server.access('model')));
      const report = await playHistory({ seed, bucket, prefix: `seed-${seed}/`, steps: 8 });
      expect(report.points).toBeGreaterThan(0);
    });
  });
});
