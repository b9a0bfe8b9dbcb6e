import { beforeEach, describe, expect, it } from '@jest/globals';
import { fileKey } from '../../src/layout/keys.ts';
import { ENCRYPTION } from '../model/encryption.ts';
import { FourRuns, PrunedJob, isManifestKey, places } from './pruned-job.ts';

const lives = new FourRuns();
let job: PrunedJob;
beforeEach(() => {
  ({ job } = lives);
});
const last = () => lives.last();

describe('a prune of a whole job', () => {
  beforeEach(() => {
    job.database.tables.dataState = 'deleting';
  });

  it('deletes everything of the format, the owner marker last', async () => {
    job.write('e3-keys.json', '{}');
    job.bucket.write('elsewhere', Buffer.from('not ours'));
    const report = await job.prune({ wholeData: true });
    expect(report).toMatchObject({ pruned: 4, emptied: true, foreign: 0, remaining: { objects: 0, bytes: 0 } });
    expect(job.bucket.keys()).toEqual(['elsewhere']);
    const deletes = job.requests.filter((request) => request.startsWith('delete'));
    expect(deletes.slice(-2)).toEqual(['delete e3-keys.json', 'delete e3-owner.json']);
    expect(report.events.at(-1)).toBe('DATA_DELETED');
    expect(await job.prune({ wholeData: true })).toMatchObject({ emptied: true, pruned: 0 });
  });

  it('of an encrypted job needs no keys: there may be none any more', async () => {
    const sealed = new PrunedJob({ encryption: ENCRYPTION });
    sealed.folder = job.folder;
    sealed.source.write('a', 'content');
    await sealed.run();
    await sealed.run();
    sealed.database.tables.dataState = 'deleting';
    const report = await sealed.prune({ wholeData: true, encryption: null });
    expect(report).toMatchObject({ pruned: 2, emptied: true, foreign: 0 });
    expect(sealed.keys()).toEqual([]);
  });

  it('of an encrypted job needs no keys for what runs left behind that were given up', async () => {
    const sealed = new PrunedJob({ encryption: ENCRYPTION });
    sealed.folder = job.folder;
    sealed.source.write('a', 'content');
    await sealed.run();
    const run = sealed.database.queue();
    const store = sealed.bucket.connect((operation, key) =>
      operation === 'put' && isManifestKey(key) ? 'die-after' : undefined,
    );
    await expect(sealed.run({ run, store })).rejects.toThrow();
    run.status = 'failed';
    sealed.database.release(run.uuid);
    expect(sealed.keys().filter(isManifestKey)).toHaveLength(2);
    sealed.database.tables.dataState = 'deleting';
    await expect(sealed.prune({ encryption: null })).rejects.toMatchObject({ code: 'ERR_MANIFEST_INVALID' });
    expect(await sealed.prune({ wholeData: true, encryption: null })).toMatchObject({ emptied: true, foreign: 0 });
    expect(sealed.keys()).toEqual([]);
  });

  it('leaves and counts what is not ours', async () => {
    job.write('notes.txt', 'mine');
    expect(await job.prune({ wholeData: true })).toMatchObject({ emptied: true, foreign: 1 });
    expect(job.keys()).toEqual(['notes.txt']);
  });

  it('waits for a restore that still reads', async () => {
    const point = job.database.tables.points[3];
    point?.holds.push('a restore');
    expect(await job.prune({ wholeData: true })).toMatchObject({ emptied: false, pruned: 3, inUse: 1 });
    expect(job.has('e3-owner.json')).toBe(true);
    for (const { key } of (await job.entries(last().point)).values()) expect(job.has(key)).toBe(true);
    point?.holds.pop();
    expect(await job.prune({ wholeData: true })).toMatchObject({ emptied: true });
  });

  it('deletes what a sleeper uploaded after the marker had gone', async () => {
    await job.prune({ wholeData: true });
    const { run, claim } = places(last());
    job.write(fileKey(run, claim, 'late'), 'late');
    expect(await job.prune({ wholeData: true })).toMatchObject({ emptied: true });
    expect(job.keys()).toEqual([]);
  });
});
