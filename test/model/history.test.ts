import { describe, expect, it } from '@jest/globals';
import { memoryModelBucket } from './faults.ts';
import { playHistory } from './history.ts';

describe('random lives of a job', () => {
  it.each(Array.from({ length: 14 }, (_, i) => i + 1))(
    'keep every point byte for byte (seed %i, in memory)',
    async (seed) => {
      const report = await playHistory({ seed, bucket: memoryModelBucket(), prefix: 'p/', steps: 14 });
      expect(report.points).toBeGreaterThan(0);
    },
  );
});
