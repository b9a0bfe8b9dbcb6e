import { beforeEach, describe, expect, it } from '@jest/globals';
import type { FaultPlan } from '../../src/storage/memory.ts';
import type { PrunedJob } from './pruned-job.ts';
import { FourRuns } from './pruned-job.ts';

const lives = new FourRuns();
let job: PrunedJob;
beforeEach(() => {
  ({ job } = lives);
});

describe('a prune with sleepers', () => {
  /** A backup that hangs with its manifest under way, and whose run has been given up. */
  async function sleepingBackup(): Promise<{ wake(): Promise<void>; manifest: string }> {
    const woken = Promise.withResolvers<void>();
    const asleep = Promise.withResolvers<string>();
    const store = job.bucket.connect((operation, key) => {
      if (operation !== 'put' || !key.endsWith('.json') || key.endsWith('owner.json')) return undefined;
      asleep.resolve(key.slice(job.prefix.length));
      return { wait: woken.promise };
    });
    const run = job.database.queue();
    const gone = job.run({ run, store }).catch(() => undefined);
    const manifest = await asleep.promise;
    run.status = 'failed';
    job.database.release(run.uuid);
    const wake = async (): Promise<void> => {
      woken.resolve();
      await gone;
    };
    return { wake, manifest };
  }

  /** A prune that hangs with its first deletes of objects under way, and has lost the job. */
  async function sleepingPrune(): Promise<{ wake(): Promise<void> }> {
    const woken = Promise.withResolvers<void>();
    const asleep = Promise.withResolvers<void>();
    const faults: FaultPlan = (operation, key) => {
      if (operation !== 'delete' || !key.includes('/files/')) return undefined;
      asleep.resolve();
      return { wait: woken.promise };
    };
    const gone = job.prune({ faults }).catch(() => undefined);
    await asleep.promise;
    job.database.prune = null;
    const wake = async (): Promise<void> => {
      woken.resolve();
      await gone;
    };
    return { wake };
  }

  async function everyPointIsWhole(): Promise<void> {
    for (const point of job.database.safe) {
      for (const { key } of (await job.entries(point)).values()) expect([key, job.has(key)]).toEqual([key, true]);
    }
  }

  it('never lets a run adopt what a late delete is on its way to: objects of a claim that was given up', async () => {
    job.source.write('late', 'of the sleeper');
    const backup = await sleepingBackup();
    const pruner = await sleepingPrune();
    await backup.wake();
    expect(job.has(backup.manifest)).toBe(true);
    await job.run();
    await pruner.wake();
    await everyPointIsWhole();
    await job.prune();
    expect(job.has(backup.manifest)).toBe(false);
    await everyPointIsWhole();
  });

  it('never lets a run adopt what a late delete is on its way to: objects of a base that goes', async () => {
    job.source.write('of-the-base', 'named by the sleeper alone, when the base is gone');
    const before = await job.run();
    const backup = await sleepingBackup();
    job.source.set('of-the-base', null);
    await job.run();
    job.keep(1);
    const base = job.database.tables.points.find(({ run }) => run === before.run.uuid);
    const pruner = await sleepingPrune();
    expect(base?.state).toBe('deleting');
    await backup.wake();
    await job.run();
    await pruner.wake();
    await everyPointIsWhole();
    await job.prune();
    await everyPointIsWhole();
    expect(job.has(backup.manifest)).toBe(false);
  });

  it('takes a tombstone that comes too late for a reason to stop, not to delete', async () => {
    const woken = Promise.withResolvers<void>();
    const asleep = Promise.withResolvers<void>();
    job.keep(3);
    const faults: FaultPlan = (operation, key) => {
      if (operation !== 'put' || !key.endsWith('.pruned')) return undefined;
      asleep.resolve();
      return { wait: woken.promise };
    };
    const gone = job.prune({ faults }).catch(() => undefined);
    await asleep.promise;
    job.database.prune = null;
    job.keep(10);
    expect(await job.prune()).toMatchObject({ spared: 1, pruned: 0 });
    woken.resolve();
    await gone;
    await expect(job.prune()).rejects.toMatchObject({ code: 'ERR_INDEX_STALE' });
    await everyPointIsWhole();
    expect(job.database.safe).toHaveLength(4);
  });
});
