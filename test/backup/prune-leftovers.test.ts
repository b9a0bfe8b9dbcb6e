import { beforeEach, describe, expect, it } from '@jest/globals';
import { BackupError } from '../../src/errors/backup-error.ts';
import { claimFolder, fileKey, okKey, tombstoneKey } from '../../src/layout/keys.ts';
import type { RunRecord } from './job.ts';
import type { PrunedJob } from './pruned-job.ts';
import { FourRuns, places } from './pruned-job.ts';

const lives = new FourRuns();
let job: PrunedJob;
let runs: readonly RunRecord[];
beforeEach(() => {
  ({ job, runs } = lives);
});
const first = (): RunRecord => lives.first();
const last = (): RunRecord => lives.last();

describe('a prune of what runs left behind', () => {
  it('deletes objects, chunks and unfinished uploads of runs that are over, and nothing of others', async () => {
    const failed = job.database.queue();
    const { claim } = job.database.claim(failed);
    failed.status = 'failed';
    const active = job.database.queue();
    const { claim: activeClaim } = job.database.claim(active);
    const leftover = fileKey(failed.uuid, claim, 'half');
    const current = fileKey(active.uuid, activeClaim, 'half');
    for (const key of [leftover, current]) {
      job.write(key, 'half a file');
      job.bucket.beginUpload(job.prefix + key);
    }
    job.bucket.beginUpload(`${job.prefix}somebody/elses`);
    const report = await job.prune();
    expect(report).toMatchObject({
      leftovers: { objects: 1, bytes: 11 },
      uploadsAborted: 1,
      events: ['LEFTOVERS_SWEPT'],
    });
    expect([job.has(leftover), job.has(current)]).toEqual([false, true]);
    expect(job.bucket.uploads().map(({ key }) => key)).toEqual([job.prefix + current, `${job.prefix}somebody/elses`]);
    expect(job.keys().filter((key) => key.endsWith('.pruned'))).toEqual([]);
  });

  it('leaves unfinished uploads where the storage does not let us list them', async () => {
    job.keep(1);
    const error = new BackupError('ERR_DEST_AUTH');
    const report = await job.prune({ faults: (operation) => (operation === 'listUploads' ? { error } : undefined) });
    expect(report).toMatchObject({ pruned: 3, uploadsAborted: 0 });
  });

  it('has a tombstone on a claim that never became a point before its first object goes', async () => {
    const failed = job.database.queue();
    const { claim } = job.database.claim(failed);
    failed.status = 'failed';
    job.write(fileKey(failed.uuid, claim, 'half'), 'half a file');
    await job.prune();
    const tombstone = job.requests.indexOf(`put ${tombstoneKey(failed.uuid, claim)}`);
    const object = job.requests.indexOf(`delete ${fileKey(failed.uuid, claim, 'half')}`);
    expect(tombstone).toBeGreaterThan(-1);
    expect(object).toBeGreaterThan(tombstone);
    expect(job.requests.at(-1)).not.toBe(`put ${tombstoneKey(failed.uuid, claim)}`);
  });

  it('adopts a whole manifest of a run that was ended before it could commit', async () => {
    const lost = last();
    job.database.tables.points = job.database.tables.points.filter(({ run }) => run !== lost.run.uuid);
    lost.run.status = 'failed';
    job.keep(1);
    const report = await job.prune();
    expect(report).toMatchObject({ adopted: 1, pruned: 3 });
    expect(job.state(lost)).toBe('kept');
    expect(job.has(okKey(lost.point.run, lost.point.claim))).toBe(true);
  });

  it('does not adopt a manifest whose base is gone, because late deletes may be on their way', async () => {
    const late = last();
    const point = job.database.tables.points.find(({ run }) => run === late.run.uuid);
    job.database.tables.points = job.database.tables.points.filter((one) => one !== point);
    late.run.status = 'failed';
    const base = job.database.tables.points.find(({ run }) => run === (runs[2] as RunRecord).run.uuid);
    if (base) base.state = 'deleting';
    expect(await job.prune()).toMatchObject({ adopted: 0, pruned: 1 });
    expect(job.has(late.point.manifestKey)).toBe(false);
    expect(job.keys(claimFolder(late.point.run, late.point.claim).slice(0, -1))).toEqual([]);
  });

  it('leaves foreign objects alone, whatever they are called', async () => {
    const { run, claim } = places(first());
    const foreign = [
      'notes.txt',
      'kopia.repository',
      'manifests/readme',
      `run_${run}/${claim}/files/../x`,
      `run_${run}/${claim}/y`,
    ];
    for (const key of foreign) job.write(key, key);
    job.keep(1);
    await job.prune();
    for (const key of foreign) expect(job.read(key)).toBe(key);
  });
});
