import { beforeEach, describe, expect, it } from '@jest/globals';
import { ConnectionKilled } from '../../src/storage/memory.ts';
import { sha256 } from '../../src/layout/chunks.ts';
import { fileKey, okKey, tombstoneKey } from '../../src/layout/keys.ts';
import { macKeysOf } from '../../src/layout/mac.ts';
import { manifestBytes } from '../../src/layout/manifest.ts';
import { TestJob } from './job.ts';
import { byKeyService } from './key-service.ts';

let job: TestJob;
const code = (expected: string) => expect.objectContaining({ code: expected });

beforeEach(() => {
  job = new TestJob();
  for (let i = 0; i < 5; i += 1) job.source.write(`folder/file ${i}`, `content ${i}`);
});

const touch = (path: string): void => {
  const version = job.source.read(path);
  if (version) job.source.set(path, { ...version, mtime: '2030-01-01T00:00:00Z' });
};

describe('a first run', () => {
  it('uploads everything below its claim and commits a complete point', async () => {
    const { status, point, statistics, run, events } = await job.run();
    expect(status).toBe('success');
    expect(point).toMatchObject({
      complete: true,
      frozen: false,
      files: 5,
      stored: 5,
      carried: 0,
      failed: 0,
      bytes: 45,
    });
    expect(statistics).toMatchObject({ added: 5, filesCopied: 5, bytesCopied: 45, unchanged: 0 });
    expect(run.status).toBe('success');
    expect(events.map((event) => event.code)).toEqual(['LISTED', 'COMPARED', 'MARKER_CREATED']);
    const entries = await job.entries(point);
    expect(entries.get('folder/file 3')).toEqual({
      path: 'folder/file 3',
      size: 9,
      mtime: job.source.read('folder/file 3')?.mtime,
      hash: expect.stringMatching(/^md5:/),
      key: fileKey(run.uuid, run.claimName, 'folder/file 3'),
      state: 'stored',
    });
    expect(job.keys()).toContain(okKey(run.uuid, run.claimName));
    expect(job.keys('e3-owner.json')).toHaveLength(1);
  });

  it('writes nothing at all when the source is empty, and fails with ERR_SOURCE_EMPTY', async () => {
    const empty = new TestJob();
    await expect(empty.run()).rejects.toThrow(code('ERR_SOURCE_EMPTY'));
    expect(empty.keys()).toEqual([]);
  });

  it('refuses a prefix that holds something but no marker', async () => {
    job.bucket.write('jobs/one/somebody else', Buffer.from('x'));
    await expect(job.run()).rejects.toThrow(code('ERR_DEST_NOT_OURS'));
    expect(job.keys()).toEqual(['somebody else']);
  });

  it('fails when not one file could be stored, for the reason that most files give', async () => {
    for (const path of job.source.paths) job.source.broken.add(path);
    const failed = await job.run().catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'ERR_PERMISSION', report: { totals: { failed: 5, carried: 0, skipped: 0 } } });
    expect(job.keys('manifests/').filter((key) => key.endsWith('.json'))).toEqual([]);
  });
});

describe('a bucket whose objects a key service encrypts', () => {
  it('takes backups as every other does, and none of its ETags for a checksum', async () => {
    const first = await job.run({ store: byKeyService(job.bucket.connect()) });
    expect(first).toMatchObject({ status: 'success', statistics: { filesCopied: 5 } });
    for (const { hash, state } of (await job.entries(first.point)).values())
      expect([hash, state]).toEqual([null, 'stored']);
    const second = await job.run({ store: byKeyService(job.bucket.connect()) });
    expect(second).toMatchObject({ status: 'success', statistics: { unchanged: 5, filesCopied: 0 } });
  });
});

describe('a later run', () => {
  it('writes one manifest and nothing else when nothing changed', async () => {
    const first = await job.run();
    const before = new Set(job.keys());
    const second = await job.run();
    expect(second.statistics).toMatchObject({ unchanged: 5, filesCopied: 0, bytesCopied: 0 });
    const [manifest, again] = [await job.manifest(first.point), await job.manifest(second.point)];
    expect(again.chunks).toEqual(manifest.chunks);
    expect(again.parent).toEqual({ key: first.point.manifestKey, sha256: first.point.manifestSha256 });
    expect(again.generation).toBeGreaterThan(manifest.generation);
    const written = job.keys().filter((key) => !before.has(key));
    expect(written).toEqual([second.point.manifestKey, okKey(second.run.uuid, second.run.claimName)]);
  });

  it('copies what is new or changed, refers to what moved, forgets what is gone', async () => {
    const first = await job.run();
    const before = await job.entries(first.point);
    const moved = job.source.read('folder/file 0');
    job.source.set('folder/file 0', null);
    job.source.set('elsewhere/renamed', moved ?? null);
    job.source.write('folder/file 1', 'other content');
    job.source.set('folder/file 2', null);
    job.source.write('new', 'new');
    touch('folder/file 3');
    const { statistics, point, status, run } = await job.run();
    expect(status).toBe('success');
    expect(statistics).toMatchObject({ added: 1, changed: 1, moved: 1, deleted: 2, unchanged: 2, filesCopied: 2 });
    const entries = await job.entries(point);
    expect([...entries.keys()]).toEqual([
      'elsewhere/renamed',
      'folder/file 1',
      'folder/file 3',
      'folder/file 4',
      'new',
    ]);
    expect(entries.get('elsewhere/renamed')?.key).toBe(before.get('folder/file 0')?.key);
    expect(entries.get('folder/file 3')).toEqual({ ...before.get('folder/file 3'), mtime: '2030-01-01T00:00:00Z' });
    expect(entries.get('new')?.key).toBe(fileKey(run.uuid, run.claimName, 'new'));
    expect(await job.entries(first.point)).toEqual(before);
  });

  it('goes by size and time where the source tells no hashes', async () => {
    job = new TestJob({ hashes: false });
    job.source.write('a', 'same');
    job.source.write('b', 'same');
    await job.run();
    touch('a');
    expect((await job.run()).statistics).toMatchObject({ changed: 1, unchanged: 1 });
  });

  it('keeps a pair of names apart that differ only by unicode form', async () => {
    job.source.write('é', 'composed');
    job.source.write('e\u0301', 'decomposed');
    const { point } = await job.run();
    const entries = await job.entries(point);
    expect(job.read(entries.get('é')?.key ?? '')).toBe('composed');
    expect(job.read(entries.get('e\u0301')?.key ?? '')).toBe('decomposed');
  });
});

describe('files that cannot be taken as they are', () => {
  it('are carried with their last stored version, and make the run a warning', async () => {
    const first = await job.run();
    const before = await job.entries(first.point);
    job.source.write('folder/file 1', 'changed');
    job.source.broken.add('folder/file 1');
    job.source.write('brand new', 'x');
    job.source.broken.add('brand new');
    const second = await job.run();
    expect(second.status).toBe('warning');
    expect(second.point).toMatchObject({ complete: false, carried: 1, failed: 1, stored: 4 });
    const entries = await job.entries(second.point);
    expect(entries.get('folder/file 1')).toEqual({ ...before.get('folder/file 1'), state: 'carried' });
    expect(entries.get('brand new')).toMatchObject({ state: 'failed', key: '', hash: null });
    expect(second.events.find((event) => event.code === 'FILE_PROBLEMS')?.params).toEqual({
      total: 2,
      problems: [
        { path: 'brand new', code: 'ERR_PERMISSION', outcome: 'failed' },
        { path: 'folder/file 1', code: 'ERR_PERMISSION', outcome: 'carried' },
      ],
    });
    job.source.heal();
    const third = await job.run();
    expect(third.status).toBe('success');
    expect(third.statistics.filesCopied).toBe(2);
  });

  it('are copied again when their stored copy was found damaged, and so are those that would refer to it', async () => {
    const first = await job.run();
    const before = await job.entries(first.point);
    job.database.damaged.add('folder/file 1');
    job.source.write('folder/same content', job.source.read('folder/file 1')?.body.toString() ?? '');
    const second = await job.run();
    expect(second.status).toBe('success');
    expect(second.statistics.filesCopied).toBe(2);
    expect(second.events.find((event) => event.code === 'DAMAGED_COPIED_AGAIN')?.params).toEqual({ files: 1 });
    const entries = await job.entries(second.point);
    for (const path of ['folder/file 1', 'folder/same content'])
      expect(entries.get(path)?.key).toContain(second.point.claim);
    expect(entries.get('folder/file 2')).toEqual(before.get('folder/file 2'));
  });

  it('are copied again when the damaged object is one that another file of the point refers to as well', async () => {
    await job.run();
    job.source.write('folder/a copy', job.source.read('folder/file 1')?.body.toString() ?? '');
    const second = await job.run();
    const shared = (await job.entries(second.point)).get('folder/a copy')?.key;
    expect((await job.entries(second.point)).get('folder/file 1')?.key).toBe(shared);
    // A restore test reads some files only: the other name of the same object is in nobody's report.
    job.database.damaged.add('folder/a copy');
    const third = await job.run();
    expect(third.statistics.filesCopied).toBe(2);
    expect([...(await job.entries(third.point)).values()].map(({ key }) => key)).not.toContain(shared);
  });

  it('are carried when their folder cannot be listed', async () => {
    await job.run();
    job.source.write('outside', 'x');
    job.source.unreadable.add('folder');
    const { status, point, statistics, events } = await job.run();
    expect(status).toBe('warning');
    expect(statistics).toMatchObject({ carried: 5, deleted: 0 });
    expect(point.complete).toBe(false);
    expect(events.map((event) => event.code)).toContain('FOLDERS_UNREADABLE');
  });

  it('are carried when they changed while they were copied, or vanished', async () => {
    const first = await job.run();
    job.source.write('folder/file 1', 'version two');
    job.source.write('folder/file 2', 'version two');
    let accesses = 0;
    job.source.onAccess = () => {
      accesses += 1;
      if (accesses === 7) {
        job.source.write('folder/file 1', 'version three');
        job.source.set('folder/file 2', null);
      }
    };
    const second = await job.run();
    const before = await job.entries(first.point);
    const entries = await job.entries(second.point);
    expect(entries.get('folder/file 1')).toEqual({ ...before.get('folder/file 1'), state: 'carried' });
    expect(entries.get('folder/file 2')).toEqual({ ...before.get('folder/file 2'), state: 'carried' });
    const problems = second.events.flatMap((event) => (event.code === 'FILE_PROBLEMS' ? event.params.problems : []));
    expect(problems.map((problem) => problem.code)).toEqual(['FILE_CHANGED_MEANWHILE', 'FILE_VANISHED']);
  });

  it('are reported when their key would be longer than 1,024 bytes', async () => {
    job.source.write(`${'long/'.repeat(200)}name`, 'x');
    const { status, point, events } = await job.run();
    expect(status).toBe('warning');
    expect(point).toMatchObject({ stored: 5, failed: 1 });
    const problems = events.flatMap((event) => (event.code === 'FILE_PROBLEMS' ? event.params.problems : []));
    expect(problems).toEqual([{ path: expect.stringMatching(/^long/), code: 'ERR_KEY_TOO_LONG', outcome: 'failed' }]);
  });

  it('are told by count when there are more than a thousand', async () => {
    for (let i = 0; i < 1_100; i += 1) {
      job.source.write(`bad/${i}`, 'x');
      job.source.broken.add(`bad/${i}`);
    }
    const { events, point } = await job.run();
    const told = events.flatMap((event) => (event.code === 'FILE_PROBLEMS' ? [event.params] : []));
    expect(told).toHaveLength(10);
    expect(told[0]?.total).toBe(1_100);
    expect(point.failed).toBe(1_100);
  });
});

describe('brakes', () => {
  beforeEach(async () => {
    job = new TestJob();
    for (let i = 0; i < 200; i += 1) job.source.write(`f/${i}`, `content ${i}`);
    await job.run();
  });

  it('freeze retention when more than half of the files are changed or gone, and stay frozen', async () => {
    for (let i = 0; i < 51; i += 1) job.source.write(`f/${i}`, `encrypted ${i}`);
    for (let i = 100; i < 150; i += 1) job.source.set(`f/${i}`, null);
    const { status, request, events } = await job.run();
    expect(status).toBe('success');
    expect(request.freeze).toEqual({ reason: 'brake', referenceFiles: 200, deleted: 50, changed: 51 });
    expect(events.map((event) => event.code)).toContain('RETENTION_FROZEN');
    const next = await job.run();
    expect(next.request.freeze).toBeNull();
    expect((await job.manifest(next.point)).frozen).toBe(true);
  });

  it('leave a renamed folder alone: nothing of it is gone', async () => {
    for (const path of job.source.paths) {
      const version = job.source.read(path) ?? null;
      job.source.set(path, null);
      job.source.set(path.replace('f/', 'renamed/'), version);
    }
    const { request, statistics } = await job.run();
    expect(statistics).toMatchObject({ moved: 200, filesCopied: 0 });
    expect(request.freeze).toBeNull();
  });

  it('are measured against the newest complete point, not against one that carries files', async () => {
    job.source.write('f/0', 'other');
    job.source.broken.add('f/0');
    for (let i = 100; i < 160; i += 1) job.source.set(`f/${i}`, null);
    expect((await job.run()).status).toBe('warning');
    job.source.heal();
    for (let i = 50; i < 100; i += 1) job.source.set(`f/${i}`, null);
    expect((await job.run()).request.freeze).toMatchObject({ referenceFiles: 200, deleted: 110, changed: 1 });
  });

  it('are measured against the point before while the newest complete one cannot be read, which stops no backup', async () => {
    const complete = job.keys('manifests/').filter((key) => key.endsWith('.json'));
    job.source.write('f/0', 'other');
    job.source.broken.add('f/0');
    expect((await job.run()).status).toBe('warning');
    for (const key of complete) job.bucket.write(job.prefix + key, Buffer.from('{}'));
    for (let i = 50; i < 160; i += 1) job.source.set(`f/${i}`, null);
    expect((await job.run()).request.freeze).toMatchObject({ referenceFiles: 200, deleted: 110 });
  });

  it('freeze when an empty source was allowed once', async () => {
    for (const path of job.source.paths) job.source.set(path, null);
    await expect(job.run()).rejects.toThrow(code('ERR_SOURCE_EMPTY'));
    const { point, request, status } = await job.run({ allowEmptySource: true });
    expect(status).toBe('success');
    expect(point).toMatchObject({ files: 0, frozen: true });
    expect(request.freeze).toMatchObject({ reason: 'empty_source', deleted: 200 });
  });
});

describe('a claim', () => {
  it('commits the whole manifest of an earlier claim and is done', async () => {
    const run = job.database.queue();
    let manifests = 0;
    const dying = job.bucket.connect((operation, key) => {
      if (operation === 'get' && key.endsWith('.json') && key.includes('/manifests/')) manifests += 1;
      return manifests > 0 ? 'die-before' : undefined;
    });
    await expect(job.run({ run, store: dying })).rejects.toThrow(ConnectionKilled);
    run.status = 'queued';
    const before = job.keys();
    const { rolledForward, point, status, statistics } = await job.run({ run });
    expect({ rolledForward, status, claim: point.claim.slice(0, 3) }).toEqual({
      rolledForward: true,
      status: 'success',
      claim: 'c1-',
    });
    expect(statistics).toMatchObject({ filesCopied: 5, bytesCopied: 45 });
    expect(job.keys()).toEqual([...before, okKey(point.run, point.claim)].sort());
  });

  it('copies what an earlier claim left, by the storage itself, when hashes prove it', async () => {
    const run = job.database.queue();
    let puts = 0;
    const dying = job.bucket.connect((operation, key) => {
      if (operation === 'put' && key.includes('/files/')) puts += 1;
      return puts > 3 ? 'die-before' : undefined;
    });
    await expect(job.run({ run, store: dying })).rejects.toThrow(ConnectionKilled);
    run.status = 'queued';
    const { events, point } = await job.run({ run });
    expect(events.find((event) => event.code === 'FILES_REUSED')?.params).toEqual({ files: 3, bytes: 27 });
    const entries = await job.entries(point);
    expect([...entries.values()].every((entry) => entry.key.includes(point.claim))).toBe(true);
  });

  it('adopts the whole manifest of a run that ended without its point', async () => {
    const run = job.database.queue();
    const dying = job.bucket.connect((operation, key) =>
      operation === 'put' && key.endsWith('.ok') ? 'die-before' : undefined,
    );
    job.source.write('only then', 'x');
    await job.run({ run, store: dying });
    job.database.tables.points = [];
    run.status = 'failed';
    job.source.set('only then', null);
    const next = await job.run();
    expect(next.events[0]).toEqual({ code: 'POINT_ADOPTED', params: { run: run.uuid, claim: run.claimName } });
    expect(run.status).toBe('failed');
    expect(job.database.tables.points.map((point) => point.run)).toEqual([run.uuid, next.run.uuid]);
    expect(next.statistics).toMatchObject({ unchanged: 5, deleted: 1 });
    expect(job.keys()).toContain(okKey(run.uuid, run.claimName));
  });

  it('neither adopts nor commits a manifest whose objects are not all there', async () => {
    const run = job.database.queue();
    await job.run({ run });
    job.bucket.remove(job.prefix + fileKey(run.uuid, run.claimName, 'folder/file 1'));
    job.database.tables.points = [];
    run.status = 'failed';
    const { events, statistics } = await job.run();
    expect(events.map((event) => event.code)).not.toContain('POINT_ADOPTED');
    expect(statistics.filesCopied).toBe(5);
  });

  it.each([
    ['another installation', { installation: 'other', database: 'test-database', acceptedDatabases: [] }],
    ['a copied database', { installation: 'tests', database: 'copy', acceptedDatabases: [] }],
  ])('of %s changes nothing', async (_, owner) => {
    await job.run();
    const before = job.keys();
    await expect(job.run({ owner })).rejects.toThrow(code('ERR_DEST_NOT_OURS'));
    expect(job.keys()).toEqual(before);
  });

  it('changes nothing when marker or index were tampered with', async () => {
    const { run } = await job.run();
    const tombstone = job.prefix + tombstoneKey(run.uuid, run.claimName);
    job.bucket.write(tombstone, Buffer.alloc(0));
    await expect(job.run()).rejects.toThrow(code('ERR_INDEX_STALE'));
    job.bucket.remove(tombstone);
    job.bucket.remove(`${job.prefix}e3-owner.json`);
    await expect(job.run()).rejects.toThrow(code('ERR_DEST_NOT_OURS'));
    expect(job.keys('e3-owner.json')).toEqual([]);
  });

  it('stops when the marker is taken over while it works', async () => {
    await job.run();
    job.source.write('new', 'x');
    let copied = false;
    const store = job.bucket.connect((operation, key) => {
      if (operation === 'put' && key.includes('/files/')) copied = true;
      if (copied && operation === 'get' && key.endsWith('e3-owner.json')) {
        job.bucket.write(`${job.prefix}e3-owner.json`, Buffer.from('{}'));
      }
      return undefined;
    });
    await expect(job.run({ store })).rejects.toThrow(code('ERR_DEST_NOT_OURS'));
    expect(job.keys('manifests/').filter((key) => key.endsWith('.json'))).toHaveLength(1);
  });

  it('builds on what was committed, although the secret that signed it is lost', async () => {
    const { point } = await job.run();
    const [committed] = job.database.tables.points;
    const lost = macKeysOf([{ keyId: 'deadbeef', secret: 'lost' }]);
    const { key_id: _, mac: __, ...manifest } = await job.manifest(point);
    const bytes = manifestBytes(manifest, lost);
    job.bucket.write(job.prefix + point.manifestKey, bytes);
    // The database still knows what it committed.
    Object.assign(committed ?? {}, { manifestSha256: sha256(bytes) });
    expect(await job.run()).toMatchObject({ status: 'success', statistics: { unchanged: 5 } });
  });

  it('refuses to build on a base that was altered', async () => {
    const { point } = await job.run();
    job.bucket.write(job.prefix + point.manifestKey, Buffer.from('{}'));
    await expect(job.run()).rejects.toThrow(code('ERR_MANIFEST_INVALID'));
  });

  it('fails with ERR_COMMIT_READBACK when the storage returns something else than was written', async () => {
    const real = job.bucket.connect();
    const store = Object.create(real) as typeof real;
    store.put = async (key, body) => {
      await real.put(key, key.includes('/chunks/') ? Buffer.concat([body, Buffer.from('x')]) : body);
    };
    for (const name of ['list', 'listFolders', 'get', 'head', 'copy'] as const) {
      Object.assign(store, { [name]: (real[name] as (...args: unknown[]) => unknown).bind(real) });
    }
    await expect(job.run({ store })).rejects.toThrow(code('ERR_COMMIT_READBACK'));
  });

  it('passes over what a customer put between the folders of the format', async () => {
    await job.run();
    job.bucket.write(`${job.prefix}manifests/notes.txt`, Buffer.from('x'));
    job.bucket.write(`${job.prefix}run_of_mine/x`, Buffer.from('x'));
    job.bucket.write(`${job.prefix}readme`, Buffer.from('x'));
    expect((await job.run()).status).toBe('success');
  });
});
