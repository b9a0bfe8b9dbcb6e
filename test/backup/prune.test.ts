import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prune, type PruneContext } from '../../src/backup/prune.ts';
import type { PruneReport } from '../../src/backup/prune-ledger.ts';
import { BackupError } from '../../src/errors/backup-error.ts';
import { manifestBytes } from '../../src/layout/manifest.ts';
import { claimFolder, fileKey, manifestKey, okKey, parseKey, tombstoneKey } from '../../src/layout/keys.ts';
import type { Manifest } from '../../src/layout/types.ts';
import type { FaultPlan } from '../../src/storage/memory.ts';
import { ENCRYPTION } from '../model/encryption.ts';
import { ModelPruneLedger } from '../model/prune-ledger.ts';
import { KEYS, OWNER, TestJob, type RunRecord } from './job.ts';

const NOW = 1_700_000_000_000;

class PrunedJob extends TestJob {
  folder = '';
  requests: string[] = [];

  async prune(
    more: Partial<PruneContext> & { faults?: FaultPlan; during?: (request: number) => void } = {},
  ): Promise<PruneReport & { events: string[] }> {
    const { faults, during, ...context } = more;
    const owned = this.database.beginPrune();
    const ledger = new ModelPruneLedger(this.database, owned, () => NOW);
    this.requests = [];
    const store = this.bucket.connect((operation, key) => {
      this.requests.push(`${operation} ${key.slice(this.prefix.length)}`);
      during?.(this.requests.length);
      return faults?.(operation, key);
    });
    try {
      const report = await prune({
        job: { uuid: this.uuid, prefix: this.prefix },
        wholeData: false,
        owner: OWNER,
        store,
        ledger,
        keys: KEYS,
        workFolder: this.folder,
        memoryItems: 5,
        databaseRetryMs: 1,
        heartbeatWaitMs: 0,
        ...context,
      });
      return { ...report, events: ledger.events.map(({ code }) => code) };
    } finally {
      owned.over = true;
    }
  }

  keep(count: number): void {
    this.database.tables.policy = { mode: 'keep_last_n', count };
  }

  state(run: RunRecord): string | undefined {
    return this.database.tables.points.find((point) => point.run === run.run.uuid)?.state;
  }

  write(key: string, body: Buffer | string): void {
    this.bucket.write(this.prefix + key, Buffer.from(body));
  }

  has(key: string): boolean {
    return this.bucket.read(this.prefix + key) !== null;
  }

  everything(): string {
    return this.bucket
      .keys()
      .map((key) => `${key} ${this.bucket.read(key)?.md5}`)
      .join('\n');
  }
}

function places(record: RunRecord): { run: string; claim: string } {
  return { run: record.point.run, claim: record.point.claim };
}

describe('a prune', () => {
  let job: PrunedJob;
  let runs: RunRecord[];

  beforeEach(async () => {
    job = new PrunedJob();
    job.folder = await mkdtemp(join(tmpdir(), 'e3-prune-test-'));
    runs = [];
    for (const name of ['one', 'two', 'three', 'four']) {
      job.source.write('always', 'the same');
      job.source.write(`only-${name}`, name);
      if (runs.length === 0) job.source.write('stays', 'forever');
      runs.push(await job.run());
      job.source.set(`only-${name}`, null);
    }
  });
  afterEach(async () => await rm(job.folder, { recursive: true, force: true }));

  const first = (): RunRecord => runs[0] as RunRecord;
  const last = (): RunRecord => runs[3] as RunRecord;

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

  describe('of what runs left behind', () => {
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

  describe('with sleepers', () => {
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

  describe('of a whole job', () => {
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
});

function isManifestKey(key: string): boolean {
  return parseKey(key.slice(key.indexOf('manifests/')))?.kind === 'manifest';
}

function chunkOf(job: PrunedJob, { point }: RunRecord): string {
  return (JSON.parse(job.read(point.manifestKey)) as Manifest).chunks[0]?.key ?? '';
}
