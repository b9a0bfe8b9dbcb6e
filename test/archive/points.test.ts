import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prune } from '../../src/backup/prune.ts';
import { Validation } from '../../src/backup/validate.ts';
import { WholenessProof } from '../../src/backup/whole.ts';
import { Drill } from '../../src/restore/drill.ts';
import { ModelPruneLedger } from '../model/prune-ledger.ts';
import { KEYS, OWNER, TestJob, type RunRecord } from '../backup/job.ts';

let folder = '';
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'e3-archive-points-'))));
afterAll(async () => await rm(folder, { recursive: true, force: true }));

const KIB = 1024;
/** Each file of 64 KiB is compressed to nothing; what matters is that the stream goes over several objects. */
const SEVERAL_OBJECTS = { frameBytes: 8 * KIB, objectBytes: 3 * KIB };

function archiveJob(): TestJob {
  const job = new TestJob({ mode: 'archive', archive: SEVERAL_OBJECTS });
  for (let i = 0; i < 40; i += 1)
    job.source.write(`f${i}`, Array.from({ length: 300 }, (_, n) => n * (i + 7)).join(' '));
  return job;
}

async function pruned(job: TestJob) {
  const owned = job.database.beginPrune();
  try {
    return await prune({
      job: { uuid: job.uuid, prefix: job.prefix },
      wholeData: false,
      owner: OWNER,
      store: job.bucket.connect(),
      ledger: new ModelPruneLedger(job.database, owned, () => 1_700_000_000_000),
      keys: KEYS,
      workFolder: folder,
      memoryItems: 5,
      databaseRetryMs: 1,
      heartbeatWaitMs: 0,
    });
  } finally {
    owned.over = true;
  }
}

const space = {
  get folder() {
    return folder;
  },
  memoryItems: 5,
};
const signal = new AbortController().signal;
const archivesOf = (job: TestJob, { run }: { run: string }): string[] => job.keys(`run_${run}/`);
const placeOf = ({ point }: RunRecord) => ({ run: point.run, claim: point.claim });

function drillOf(job: TestJob, run: RunRecord): Drill {
  return new Drill({
    points: job.points,
    place: placeOf(run),
    canary: null,
    maxFiles: 100,
    maxBytes: 1e9,
    random: Math.random,
    clock: () => performance.now(),
    signal,
  });
}

function validationOf(job: TestJob, run: RunRecord): Validation {
  return new Validation({
    points: job.points,
    place: placeOf(run),
    sample: null,
    source: null,
    begunAt: 0,
    space,
    signal,
  });
}

describe('points in archives', () => {
  it('of which one file is carried keep all objects of the archive it lies in', async () => {
    const job = archiveJob();
    const first = await job.run();
    const kept = archivesOf(job, first.point);
    expect(kept.length).toBeGreaterThan(2);
    job.source.write('f20', 'changed, and it cannot be read');
    job.source.broken.add('f20');
    const second = await job.run();
    const carried = (await job.entries(second.point)).get('f20');
    expect(carried).toMatchObject({ state: 'carried', key: expect.stringContaining(first.point.run) });
    job.source.heal();
    const third = await job.run();
    expect((await job.entries(third.point)).get('f20')).toMatchObject({ state: 'stored' });
    const middle = job.database.tables.points.find(({ run }) => run === second.point.run);
    if (middle === undefined) throw new Error('it is no point');
    middle.pinned = true;
    job.database.tables.policy = { mode: 'keep_last_n', count: 1 };
    expect(await pruned(job)).toMatchObject({ pruned: 1 });
    expect(archivesOf(job, first.point)).toEqual(kept);
    middle.pinned = false;
    expect(await pruned(job)).toMatchObject({ pruned: 1 });
    expect(archivesOf(job, first.point)).toEqual([]);
    expect(archivesOf(job, second.point)).toEqual([]);
    expect(archivesOf(job, third.point).length).toBeGreaterThan(2);
  }, 30_000);

  it('leave pending uploads of a run that was killed to the next prune', async () => {
    const job = archiveJob();
    const { point } = await job.run();
    const run = job.database.queue();
    const { claim } = job.database.claim(run);
    run.status = 'failed';
    job.bucket.beginUpload(`${job.prefix}run_${run.uuid}/${claim}/archive.tar.zst`);
    job.bucket.beginUpload(`${job.prefix}run_${run.uuid}/${claim}/archive.tar.zst.002`);
    expect(await pruned(job)).toMatchObject({ uploadsAborted: 2 });
    expect(job.bucket.uploads()).toEqual([]);
    expect(archivesOf(job, point).length).toBeGreaterThan(2);
  });

  it('are proved by a restore test that reads every file, and validated by what can be seen', async () => {
    const job = archiveJob();
    const run = await job.run();
    const drill = drillOf(job, run);
    await drill.execute();
    expect([drill.outcome, drill.tally.exact]).toEqual(['success', 40]);
    const validation = validationOf(job, run);
    await validation.execute();
    expect([validation.outcome, validation.tally.count('size_only')]).toEqual(['size_only', 40]);
  });

  it.each([
    ['is missing', (_: Buffer) => null, 'OBJECT_MISSING'],
    ['was cut off', (body: Buffer) => body.subarray(0, 100), 'OBJECT_SIZE'],
  ])('fail their validation and restore test when an object %s, by name', async (_, change, code) => {
    const job = archiveJob();
    const run = await job.run();
    const [, second = ''] = archivesOf(job, run.point);
    const changed = change(job.bucket.read(job.prefix + second)?.body ?? Buffer.alloc(0));
    if (changed === null) job.bucket.remove(job.prefix + second);
    else job.bucket.write(job.prefix + second, changed);
    const validation = validationOf(job, run);
    await validation.execute();
    expect(validation.outcome).toBe('failed');
    expect(validation.tally.told).toContainEqual(expect.objectContaining({ code }));
    expect(validation.tally.count('size_only')).toBeGreaterThan(0);
    const drill = drillOf(job, run);
    await drill.execute();
    expect(drill.outcome).toBe('failed');
    expect(drill.tally.problems).toBe(validation.tally.problems);
    const proof = new WholenessProof(job.points, space);
    expect(await proof.isWhole(await job.manifest(run.point))).toBe(false);
  });

  it('are whole for a reindex as long as all of their objects are', async () => {
    const job = archiveJob();
    const { point } = await job.run();
    expect(await new WholenessProof(job.points, space).isWhole(await job.manifest(point))).toBe(true);
  });
});
