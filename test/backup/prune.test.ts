import { beforeEach, describe, expect, it } from '@jest/globals';
import { prune } from '../../src/backup/prune.ts';
import { BackupError } from '../../src/errors/backup-error.ts';
import { manifestBytes } from '../../src/layout/manifest.ts';
import { fileKey, manifestKey, okKey, tombstoneKey } from '../../src/layout/keys.ts';
import type { Manifest } from '../../src/layout/types.ts';
import type { FaultPlan } from '../../src/storage/memory.ts';
import { ModelPruneLedger } from '../model/prune-ledger.ts';
import { KEYS, OWNER, type RunRecord } from './job.ts';
import { FourRuns, NOW, PrunedJob, places } from './pruned-job.ts';

const lives = new FourRuns();
let job: PrunedJob;
let runs: readonly RunRecord[];
beforeEach(() => {
  ({ job, runs } = lives);
});
const first = (): RunRecord => lives.first();
const last = (): RunRecord => lives.last();

describe('a prune', () => {
  it('removes what retention gives up, and what no other point needs', async () => {
    job.keep(2);
    const before = await job.entries(last().point);
    const report = await job.prune();
    expect(report).toMatchObject({ pruned: 2, inUse: 0, spared: 0, yielded: false, emptied: false, versioned: false });
    expect(runs.map((run) => job.state(run))).toEqual(['pruned', 'pruned', 'kept', 'kept']);
    expect(await job.entries(last().point)).toEqual(before);
    for (const { key } of before.values()) expect(job.has(key)).toBe(true);
    const { run, claim } = places(first());
    expect(job.has(fileKey(run, claim, 'only-one'))).toBe(false);
    expect(job.has(fileKey(run, claim, 'stays'))).toBe(true);
    for (const key of [manifestKey(run, claim), okKey(run, claim), tombstoneKey(run, claim)])
      expect(job.has(key)).toBe(false);
    expect(report.remaining?.objects).toBe(job.keys('run_').length);
    expect(report.freed.objects).toBe(2);
    expect(report.leftovers.objects).toBe(0);
    expect(report.events).toEqual(['PRUNE_PLANNED', 'POINT_PRUNED', 'POINT_PRUNED']);
  });

  it('puts an .ok that a worker died before, so that a reindex never doubts the point', async () => {
    const { run, claim } = places(last());
    job.bucket.remove(job.prefix + okKey(run, claim));
    await job.prune();
    expect(job.has(okKey(run, claim))).toBe(true);
  });

  it('has nothing to do the second time', async () => {
    job.keep(1);
    await job.prune();
    const before = job.everything();
    expect(await job.prune()).toMatchObject({ pruned: 0, freed: { objects: 0, bytes: 0 }, events: [] });
    expect(job.everything()).toBe(before);
    expect(job.requests.filter((request) => /^(?:put|delete)/.test(request))).toEqual([]);
  });

  it('puts the tombstone, then deletes objects, chunks, manifest and tombstone, in this order', async () => {
    job.keep(3);
    await job.prune();
    const { run, claim } = places(first());
    const order = job.requests.flatMap((request) => {
      if (!/^(?:put|delete) /.test(request)) return [];
      const kind = /\.(ok|json|pruned)$/.exec(request)?.[1] ?? (request.includes('/chunks/') ? 'chunk' : 'object');
      return `${request.split(' ')[0]} ${kind}`;
    });
    // The first delete finds out whether the storage lets go of anything.
    expect(order.filter((step, i) => step !== order[i - 1])).toEqual([
      'delete pruned',
      'put pruned',
      'delete ok',
      'delete object',
      'delete chunk',
      'delete json',
      'delete pruned',
    ]);
    expect(job.requests).toContain(`put ${tombstoneKey(run, claim)}`);
  });

  it('keeps pinned points, points in use, the newest and the last success', async () => {
    job.keep(1);
    const [one, two] = job.database.tables.points;
    if (one) one.pinned = true;
    if (two) two.holds.push('a restore');
    const report = await job.prune();
    expect(report).toMatchObject({ pruned: 1, inUse: 1 });
    expect(runs.map((run) => job.state(run))).toEqual(['kept', 'kept', 'pruned', 'kept']);
    two?.holds.pop();
    expect(await job.prune()).toMatchObject({ pruned: 1, inUse: 0 });
  });

  it('gives a point back that is pinned after it was marked, its tombstone first', async () => {
    job.keep(3);
    const [point] = job.database.tables.points;
    await job.prune({
      during: () => {
        if (point?.state === 'marked') point.pinned = true;
      },
    });
    expect(point?.state).toBe('kept');
    const { run, claim } = places(first());
    expect(job.has(tombstoneKey(run, claim))).toBe(false);
    expect(job.has(okKey(run, claim))).toBe(true);
  });

  it('removes nothing while retention is frozen, and takes marks back', async () => {
    job.keep(1);
    await expect(
      job.prune({ faults: (_operation, key) => (key.endsWith('.pruned') ? 'die-after' : undefined) }),
    ).rejects.toThrow();
    const [point] = job.database.tables.points;
    if (point) point.state = 'marked';
    job.write(tombstoneKey(places(first()).run, places(first()).claim), '');
    job.database.tables.frozen = true;
    expect(await job.prune()).toMatchObject({ pruned: 0, spared: 1 });
    expect(point?.state).toBe('kept');
    expect(job.keys().filter((key) => key.endsWith('.pruned'))).toEqual([]);
  });

  it('goes on where an earlier one was killed, at whatever request', async () => {
    for (let at = 1; ; at += 1) {
      const world = new PrunedJob();
      world.folder = job.folder;
      for (let i = 0; i < 3; i += 1) {
        world.source.write('changes', `version ${i}`);
        world.source.write('stays', 'forever');
        await world.run();
      }
      world.keep(1);
      let requests = 0;
      const killed = await world.prune({ faults: () => ((requests += 1) === at ? 'die-after' : undefined) }).then(
        () => false,
        () => true,
      );
      await world.prune();
      expect(world.database.live).toHaveLength(1);
      expect(world.keys('manifests/').filter((key) => /\.(?:json|pruned)$/.test(key))).toHaveLength(1);
      expect(world.keys('run_').length).toBe((await world.entries(world.database.live[0] as never)).size);
      if (!killed) break;
    }
  }, 60_000);

  it('stops before it deletes anything when the prefix is not ours', async () => {
    job.keep(1);
    job.bucket.remove(`${job.prefix}e3-owner.json`);
    const before = job.everything();
    await expect(job.prune()).rejects.toMatchObject({ code: 'ERR_DEST_NOT_OURS' });
    expect(job.everything()).toBe(before);
  });

  it.each<[string, (job: PrunedJob, record: RunRecord) => void]>([
    ['a run that the database does not know', (j) => void j.database.tables.runs.shift()],
    ['a claim above the one that the database knows', (_job, { run }) => void (run.claim = 0)],
    ['a kept point without its manifest', (j, { point }) => j.bucket.remove(j.prefix + point.manifestKey)],
    ['a tombstone on a kept point', (j, record) => j.write(tombstoneKey(record.point.run, record.point.claim), '')],
  ])('deletes nothing when it finds %s', async (_title, spoil) => {
    job.keep(1);
    spoil(job, first());
    const before = job.everything();
    await expect(job.prune()).rejects.toMatchObject({ code: 'ERR_INDEX_STALE' });
    expect(job.everything()).toBe(before);
    expect(job.requests.filter((request) => /^(?:put|delete)/.test(request))).toEqual([]);
  });

  const damages: [string, (job: PrunedJob, record: RunRecord) => void, string][] = [
    [
      'a manifest that is cut off',
      (j, { point }) => j.write(point.manifestKey, j.read(point.manifestKey).slice(0, -9)),
      'ERR_MANIFEST_INVALID',
    ],
    [
      'a manifest that somebody altered',
      (j, { point }) => j.write(point.manifestKey, j.read(point.manifestKey).replace('"failed":0', '"failed":1')),
      'ERR_MANIFEST_INVALID',
    ],
    [
      'the manifest of another job',
      (j, { point }) => {
        const { key_id: _k, mac: _m, ...manifest } = JSON.parse(j.read(point.manifestKey)) as Manifest;
        j.write(point.manifestKey, manifestBytes({ ...manifest, job: point.run }, KEYS));
      },
      'ERR_MANIFEST_INVALID',
    ],
    ['a chunk that is missing', (j, record) => j.bucket.remove(j.prefix + chunkOf(j, record)), 'ERR_MANIFEST_INVALID'],
    ['a chunk that was altered', (j, record) => j.write(chunkOf(j, record), 'no chunk'), 'ERR_MANIFEST_INVALID'],
  ];
  it.each(damages)('deletes nothing when it meets %s', async (_title, spoil, code) => {
    job.keep(1);
    spoil(job, last());
    const before = job.everything();
    await expect(job.prune()).rejects.toMatchObject({ code });
    expect(job.everything()).toBe(before);
    expect(job.database.live.every(({ state }) => state === 'kept')).toBe(true);
  });

  it('finishes points although one of those that go cannot be read', async () => {
    job.keep(2);
    job.write(first().point.manifestKey, 'damaged');
    expect(await job.prune()).toMatchObject({ pruned: 2 });
  });

  it('ends clearly where the storage refuses deletes, with every point as it was, and goes on when it lets go', async () => {
    job.keep(1);
    const refused = new BackupError('ERR_DEST_AUTH');
    const before = job.everything();
    const faults: FaultPlan = (operation) => (operation === 'delete' ? { error: refused } : undefined);
    await expect(job.prune({ faults })).rejects.toMatchObject({ code: 'ERR_DELETE_REFUSED' });
    expect(job.everything()).toBe(before);
    expect(job.database.live.map(({ state }) => state)).toEqual(['kept', 'kept', 'kept', 'kept']);
    // An object lock shows only when an object is deleted.
    const locked: FaultPlan = (operation, key) =>
      operation === 'delete' && key.includes('/files/') ? { error: new BackupError('ERR_DEST_REFUSED') } : undefined;
    await expect(job.prune({ faults: locked })).rejects.toMatchObject({ code: 'ERR_DELETE_REFUSED' });
    expect(await job.prune()).toMatchObject({ pruned: 3 });
    expect(job.keys('run_').length).toBe((await job.entries(last().point)).size);
  });

  it('knows by the bucket that a deletion has begun which the database has forgotten', async () => {
    job.keep(3);
    // A fail-over to a replica that had not heard of the last transaction.
    const before = job.database.snapshot();
    const faults: FaultPlan = (operation, key) =>
      operation === 'delete' && key.includes('/files/') ? 'die-after' : undefined;
    await expect(job.prune({ faults })).rejects.toThrow();
    job.database.tables = before;
    const [point] = job.database.tables.points;
    if (point) point.state = 'marked';
    job.keep(10);
    await expect(job.prune()).rejects.toMatchObject({ code: 'ERR_INDEX_STALE' });
    expect(point?.state).toBe('marked');
    job.keep(3);
    expect(await job.prune()).toMatchObject({ pruned: 1 });
  });

  it('never deletes without a heartbeat that was answered', async () => {
    job.keep(1);
    const before = job.keys('run_');
    await expect(
      job.prune({
        during: () => {
          if (job.database.tables.points[0]?.state === 'deleting') job.database.prune = null;
        },
      }),
    ).rejects.toMatchObject({ code: 'ERR_DATABASE_UNREACHABLE' });
    expect(job.keys('run_')).toEqual(before);
  });

  it('makes way for a backup, and keeps what it did', async () => {
    job.keep(1);
    const owned = job.database.beginPrune();
    const ledger = new ModelPruneLedger(job.database, owned, () => NOW);
    const store = job.bucket.connect((operation, key) => {
      if (operation === 'delete' && key.includes('/files/')) ledger.makeWay();
      return undefined;
    });
    const context = {
      job: { uuid: job.uuid, prefix: job.prefix },
      wholeData: false,
      owner: OWNER,
      store,
      ledger,
      keys: KEYS,
    };
    const report = await prune({ ...context, workFolder: job.folder, deleteBatchKeys: 1 });
    expect(report).toMatchObject({ yielded: true, pruned: 0 });
    expect(report.freed.objects).toBeGreaterThan(0);
    owned.over = true;
    expect(await job.prune()).toMatchObject({ pruned: 3, yielded: false });
  });

  it('says that bytes come back only later where the bucket keeps versions', async () => {
    job.keep(1);
    job.bucket.versioning = 'on';
    const report = await job.prune();
    expect(report.versioned).toBe(true);
    expect(report.events).toContain('PRUNE_VERSIONED');
  });
});

function chunkOf(job: PrunedJob, { point }: RunRecord): string {
  return (JSON.parse(job.read(point.manifestKey)) as Manifest).chunks[0]?.key ?? '';
}
