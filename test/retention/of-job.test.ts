import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { freedAtLeast } from '../../src/retention/freed.ts';
import { planJob, type JobRetention, type LivePoint } from '../../src/retention/of-job.ts';

const AT = { now: Date.UTC(2026, 5, 1), timezone: 'UTC' };

function point(generation: number, change: Partial<LivePoint> = {}): LivePoint {
  return {
    id: `p${generation}`,
    createdAt: AT.now - (10 - generation) * 86_400_000,
    generation,
    status: 'success',
    pinned: false,
    state: 'kept',
    ...change,
  };
}

describe('what goes of a job', () => {
  const job: JobRetention = {
    policy: { mode: 'keep_last_n', count: 1 },
    frozen: false,
    deleted: false,
    dataState: 'kept',
  };
  const points = [point(1, { state: 'deleting' }), point(2, { state: 'marked' }), point(3), point(4)];

  it('is what its policy gives up, besides what is being deleted already', () => {
    expect(planJob(job, points, AT)).toEqual({ remove: ['p2', 'p3'], unmark: [] });
    expect(planJob({ ...job, policy: { mode: 'none' } }, points, AT)).toEqual({ remove: [], unmark: ['p2'] });
  });

  it('is nothing while it is frozen, deleted with its data kept, or in its grace; marks are taken back', () => {
    for (const change of [{ frozen: true }, { deleted: true }, { deleted: true, dataState: 'grace' as const }]) {
      expect(planJob({ ...job, ...change }, points, AT)).toEqual({ remove: [], unmark: ['p2'] });
    }
  });

  it('is everything when its data is to be deleted, frozen or not', () => {
    const all = { ...job, frozen: true, deleted: true, dataState: 'deleting' as const };
    expect(planJob(all, points, AT)).toEqual({ remove: ['p2', 'p3', 'p4'], unmark: [] });
  });
});

describe('the bytes that come back at least', () => {
  it('are never more than what no kept point needs, whatever the points share', () => {
    // A job of five runs: each adds objects and may go on using those of the point before it.
    const run = fc.record({
      added: fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 4 }),
      drop: fc.infiniteStream(fc.boolean()),
      keep: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(run, { minLength: 1, maxLength: 6 }), (runs) => {
        let next = 0;
        let files = new Map<number, number>();
        const sizes = new Map<number, number>();
        const points = runs.map((one, generation) => {
          files = new Map([...files].filter(() => !one.drop.next().value));
          for (const size of one.added) {
            sizes.set(next, size);
            files.set(next++, size);
          }
          const bytes = [...files.values()].reduce((sum, size) => sum + size, 0);
          return {
            generation,
            bytes,
            addedBytes: one.added.reduce((sum, size) => sum + size, 0),
            keep: one.keep,
            files: new Set(files.keys()),
          };
        });
        const needed = new Set(points.filter((one) => one.keep).flatMap((one) => [...one.files]));
        const stored = [...sizes.values()].reduce((sum, size) => sum + size, 0);
        const free = [...sizes].filter(([id]) => !needed.has(id)).reduce((sum, [, size]) => sum + size, 0);
        expect(freedAtLeast(points, stored)).toBeLessThanOrEqual(free);
      }),
    );
  });

  it('are nothing when nothing goes', () => {
    expect(freedAtLeast([{ generation: 1, bytes: 10, addedBytes: 10, keep: true }], 500)).toBe(0);
  });

  it('are all of it when only the newest of points without common files stays', () => {
    const points = [1, 2, 3].map((generation) => ({ generation, bytes: 100, addedBytes: 100, keep: generation === 3 }));
    expect(freedAtLeast(points, 300)).toBe(200);
  });
});
