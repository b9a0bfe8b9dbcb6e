import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileKey } from '../../src/layout/keys.ts';
import type { Entry } from '../../src/layout/types.ts';
import { BucketTarget, destinationNames, type BucketTargetOptions } from '../../src/restore/bucket-target.ts';
import { groupEntries } from '../../src/restore/groups.ts';
import { LocalTarget } from '../../src/restore/local-target.ts';
import { verdictOf } from '../../src/restore/outcome.ts';
import type { RestoreTarget, SingleCopies } from '../../src/restore/port.ts';
import { objectTime, recordedMd5 } from '../../src/restore/object-time.ts';
import { requireExact, type RestoreReport } from '../../src/restore/report.ts';
import { restorePoint } from '../../src/restore/restore-point.ts';
import { TestJob, type RunRecord } from '../backup/job.ts';
import { byKeyService } from '../backup/key-service.ts';
import { entryOf, streamOf } from '../layout/samples.ts';
import { prefixBulk, storeBulk } from './memory-bulk.ts';

let base: string;
let target: string;
let job: TestJob;
const code = (expected: string) => expect.objectContaining({ code: expected });

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'e3-restore-'));
  target = join(base, 'target');
  await mkdir(join(base, 'work'));
  job = new TestJob();
  for (let i = 0; i < 40; i += 1) job.source.write(`many/${i}`, `content ${i}`);
  for (const path of ['a', 'b/c', 'b/back\\slash', 'b/new␊line', 'bb']) job.source.write(path, `this is ${path}`);
});
afterEach(async () => {
  await rm(base, { recursive: true, force: true });
});

type Change = Partial<Parameters<typeof restorePoint>[0]> & {
  readonly into?: string;
  /** As somebody restores who does not know which manifest was committed. */
  readonly anyManifest?: boolean;
};

async function restore(record: RunRecord, change: Change = {}): Promise<RestoreReport> {
  const { into = target, anyManifest = false, ...rest } = change;
  const { overwrite = null } = rest;
  const store = job.bucket.connect();
  return await restorePoint({
    source: job.points,
    place: record.point,
    ...(anyManifest ? {} : { manifestSha256: record.point.manifestSha256 }),
    target: new LocalTarget({ folder: into, bulk: storeBulk(store, into), overwrite }),
    space: { folder: join(base, 'work'), memoryItems: 10 },
    signal: new AbortController().signal,
    ...rest,
  });
}

const text = async (path: string): Promise<string> => await readFile(join(target, path), 'utf8');

describe('restoring to a local folder', () => {
  it('brings back every file under its own name, with its time, and reads it back', async () => {
    const record = await job.run();
    const report = await restore(record);
    expect(report).toMatchObject({ files: 45, exact: 45, sizeOnly: 0, carried: 0, problems: [], problemCount: 0 });
    expect(await text('b/back\\slash')).toBe('this is b/back\\slash');
    expect(await text('b/new\nline')).toBe('this is b/new␊line');
    expect(await text('many/39')).toBe('content 39');
    expect(() => requireExact(report)).not.toThrow();
  });

  it('brings back one folder, and nothing that only begins with its name', async () => {
    const record = await job.run();
    expect(await restore(record, { paths: ['b'] })).toMatchObject({ files: 3, exact: 3 });
    expect((await readdir(target)).sort()).toEqual(['b']);
  });

  it('brings back many files and folders, each once, and nothing else', async () => {
    const record = await job.run();
    const paths = ['many/3', 'b', 'b/c', 'a', ...Array.from({ length: 20 }, (_, i) => `many/${i + 10}`)];
    expect(await restore(record, { paths })).toMatchObject({ files: 25, created: 25, exact: 25, problemCount: 0 });
    expect((await readdir(join(target, 'many'))).length).toBe(21);
    expect((await readdir(target)).sort()).toEqual(['a', 'b', 'many']);
  });

  it('names the paths that the point does not hold, before anything is written', async () => {
    const record = await job.run();
    const paths = ['a', 'no such folder', 'b/c/d', 'many'];
    const refused = restore(record, { paths });
    await expect(refused).rejects.toThrow(code('INVALID_INPUT'));
    await expect(refused).rejects.toMatchObject({ details: { field: 'paths', missing: ['no such folder', 'b/c/d'] } });
    await expect(refused).rejects.toThrow('"no such folder", "b/c/d"');
    await expect(stat(target)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it.each(['../a', '/a', 'b/../a', './a', 'b//c', 'b/new\nline', '', 'a\u0000'])(
    'takes %j for a name that no point has, or for all of it, and never for a place of this machine',
    async (path) => {
      const record = await job.run();
      if (path === '') expect(await restore(record, { paths: [path] })).toMatchObject({ files: 45 });
      else await expect(restore(record, { paths: [path] })).rejects.toThrow(code('INVALID_INPUT'));
      expect((await readdir(base)).sort()).toEqual(path === '' ? ['target', 'work'] : ['work']);
    },
  );

  it('gives moved files their new names, whole renamed folders at once', async () => {
    await job.run();
    for (const path of job.source.paths.filter((name) => name.startsWith('many/'))) {
      const version = job.source.read(path) ?? null;
      job.source.set(path, null);
      job.source.set(path.replace('many/', 'other/deep/'), version);
    }
    const renamed = job.source.read('a') ?? null;
    job.source.set('a', null);
    job.source.set('z', renamed);
    const record = await job.run();
    expect(record.statistics.moved).toBe(41);
    expect(await restore(record)).toMatchObject({ exact: 45, problemCount: 0 });
    expect(await text('other/deep/7')).toBe('content 7');
    expect(await text('z')).toBe('this is a');
  });

  it('names each file that is missing or differs, and those that the point never had', async () => {
    job.source.broken.add('bb');
    const record = await job.run();
    const key = (path: string) => job.prefix + fileKey(record.run.uuid, record.run.claimName, path);
    job.bucket.remove(key('a'));
    job.bucket.remove(key('many/1'));
    job.bucket.write(key('many/2'), Buffer.from('altered 2'));
    const report = await restore(record);
    expect(Object.fromEntries(report.problems.map((problem) => [problem.path, problem.code]))).toEqual({
      a: 'ERR_OBJECT_MISSING',
      bb: 'FILE_NOT_IN_POINT',
      'many/1': 'ERR_OBJECT_MISSING',
      'many/2': 'FILE_DIFFERS',
    });
    expect(() => requireExact(report)).toThrow(code('ERR_RESTORE_MISMATCH'));
    expect(report.totals).toEqual({ missing: 3, differs: 1, size_only: 0, skipped: 0 });
    // A file that differs after it was written is no gap that a report could excuse.
    expect(verdictOf(report)).toMatchObject({ status: 'failed', error: { code: 'ERR_RESTORE_MISMATCH' } });
  });

  it('gives the rest back where objects are missing, and fails when there is no rest', async () => {
    const record = await job.run();
    job.bucket.remove(job.prefix + fileKey(record.run.uuid, record.run.claimName, 'a'));
    const report = await restore(record);
    expect(verdictOf(report)).toEqual({ status: 'warning', code: 'ERR_OBJECT_MISSING' });
    expect(report.outcomes).toEqual([{ kind: 'missing', code: 'ERR_OBJECT_MISSING', path: 'a' }]);
    expect(report.exact).toBe(44);
    const nothing = await restore(record, { paths: ['a'], into: join(base, 'other') });
    expect(verdictOf(nothing)).toMatchObject({ status: 'failed', error: { code: 'ERR_OBJECT_MISSING' } });
  });

  it('names missing objects also where the copy of many files has left them out without a word', async () => {
    for (let i = 0; i < 600; i += 1) job.source.write(`large/${i}`, `file ${i}`);
    const record = await job.run();
    job.bucket.remove(job.prefix + fileKey(record.run.uuid, record.run.claimName, 'large/7'));
    const quiet = storeBulk(job.bucket.connect(), target);
    const copy: typeof quiet.copy = async (request) => {
      await quiet.copy(request);
      return new Map();
    };
    const report = await restore(record, { target: new LocalTarget({ folder: target, bulk: { ...quiet, copy } }) });
    expect(report.problems).toEqual([{ path: 'large/7', code: 'ERR_OBJECT_MISSING' }]);
    expect(verdictOf(report)).toEqual({ status: 'warning', code: 'ERR_OBJECT_MISSING' });
  });

  it('refuses a folder that is not empty, and a file in its place', async () => {
    const record = await job.run();
    await mkdir(target);
    await writeFile(join(target, 'mine'), 'x');
    await expect(restore(record)).rejects.toThrow(code('ERR_RESTORE_TARGET'));
    await expect(restore(record, { into: join(target, 'mine') })).rejects.toThrow(code('ERR_RESTORE_TARGET'));
    expect(await readdir(target)).toEqual(['mine']);
  });

  it('does not write through a link that somebody puts in its way', async () => {
    const record = await job.run();
    await mkdir(join(base, 'outside'));
    await mkdir(target);
    const into = new LocalTarget({
      folder: target,
      bulk: storeBulk(job.bucket.connect(), target),
    });
    const signal = new AbortController().signal;
    await into.prepare({ dryRun: false });
    await symlink(join(base, 'outside'), join(target, 'b'));
    await symlink(join(base, 'outside/a'), join(target, 'a'));
    const entries = await job.entries(record.point);
    const entry = entries.get('b/c') ?? entryOf('b/c');
    const items = streamOf([{ fromKey: job.prefix + entry.key, toPath: entry.path, size: entry.size }]);
    const failed = await into.copySome({ items, largest: 1, existing: 'none', signal, onProgress: () => undefined });
    expect([...failed]).toEqual([['b/c', 'ERR_RESTORE_TARGET']]);
    const look = { signal, space: { folder: base, memoryItems: 10 }, count: 2, times: false, hashes: true };
    const both = ['a', 'b/c'].map((path) => entries.get(path) ?? entryOf(path));
    for await (const { existing } of into.look(streamOf(both), look)) expect(existing?.size).toBe(-1);
    expect(await readdir(join(base, 'outside'))).toEqual([]);
  });

  it('reports a file whose folder is another file', async () => {
    job.source.write('b', 'a file and a folder');
    const report = await restore(await job.run());
    const paths = report.problems.map((problem) => problem.path);
    // Which of them is there first decides; the others are named.
    expect([['b'], ['b/back\\slash', 'b/c', 'b/new␊line']]).toContainEqual(paths.sort());
  });

  it('ends with the reason of the one who stopped it', async () => {
    const record = await job.run();
    const stop = new AbortController();
    stop.abort(new Error('hold lost'));
    const running = restore(record, { signal: stop.signal });
    await expect(running).rejects.toThrow('hold lost');
  });

  it('refuses a manifest that is not the one the database knows', async () => {
    const record = await job.run();
    const other = { ...record, point: { ...record.point, manifestSha256: '0'.repeat(64) } };
    await expect(restore(other)).rejects.toThrow(code('ERR_MANIFEST_INVALID'));
  });
});

describe('a point whose manifest or chunk is not what the run has written', () => {
  /** Keys are relative to the job's prefix. */
  type Damage = (about: { manifest: string; chunk: string; other: RunRecord }) => void;
  const write = (key: string, body: Buffer): void => job.bucket.write(job.prefix + key, body);
  const read = (key: string): Buffer => job.bucket.read(job.prefix + key)?.body ?? Buffer.alloc(0);
  const damages: [string, Damage][] = [
    ['a missing manifest', ({ manifest }) => job.bucket.remove(job.prefix + manifest)],
    ['a manifest cut short', ({ manifest }) => write(manifest, read(manifest).subarray(0, 100))],
    ['the manifest of another point', ({ manifest, other }) => write(manifest, read(other.point.manifestKey))],
    [
      'a forged manifest',
      ({ manifest }) =>
        write(manifest, Buffer.from(read(manifest).toString().replace('"complete":true', '"complete":false'))),
    ],
    ['a missing chunk', ({ chunk }) => job.bucket.remove(job.prefix + chunk)],
    ['a chunk of rubbish', ({ chunk }) => write(chunk, Buffer.from('rubbish'))],
    ['a chunk cut short', ({ chunk }) => write(chunk, read(chunk).subarray(0, -20))],
    [
      'the chunk of another point',
      ({ chunk }) => {
        const another = job.keys('manifests/chunks/').find((key) => key !== chunk);
        write(chunk, read(another ?? ''));
      },
    ],
  ];

  it.each(damages)('is not restored: %s', async (_what, damage) => {
    const record = await job.run();
    const [chunk] = (await job.manifest(record.point)).chunks;
    job.source.write('a', 'changed for another point');
    const other = await job.run();
    damage({ manifest: record.point.manifestKey, chunk: chunk?.key ?? '', other });
    await expect(restore(record)).rejects.toThrow(code('ERR_MANIFEST_INVALID'));
    await expect(restore(record, { anyManifest: true, into: join(base, 'other') })).rejects.toThrow(
      code('ERR_MANIFEST_INVALID'),
    );
    const written = await readdir(target).catch(() => []);
    expect(written.filter((name) => name !== '.e3-restore-unfinished')).toEqual([]);
  });
});

describe('restoring to a folder that holds files', () => {
  /** `kept` is the same, `older` and `newer` differ. */
  async function holdFiles(): Promise<RunRecord> {
    const record = await job.run();
    await mkdir(join(target, 'b'), { recursive: true });
    await writeFile(join(target, 'a'), 'what was here');
    await utimes(join(target, 'a'), new Date('2001-01-01'), new Date('2001-01-01'));
    await writeFile(join(target, 'b/c'), 'what was here, and is newer');
    await utimes(join(target, 'b/c'), new Date('2100-01-01'), new Date('2100-01-01'));
    await writeFile(join(target, 'mine'), 'mine');
    return record;
  }

  it('leaves every one of them with "never"', async () => {
    const report = await restore(await holdFiles(), { overwrite: 'never' });
    expect(report).toMatchObject({ created: 43, overwritten: 0, skipped: 2, exact: 43, problemCount: 0 });
    expect(report.outcomes).toEqual([
      { kind: 'skipped', code: 'FILE_EXISTS', path: 'a' },
      { kind: 'skipped', code: 'FILE_EXISTS', path: 'b/c' },
    ]);
    expect(await Promise.all(['a', 'b/c', 'mine'].map(text))).toEqual([
      'what was here',
      'what was here, and is newer',
      'mine',
    ]);
    expect(verdictOf(report)).toEqual({ status: 'success', code: null });
  });

  it('replaces what is older with "if_newer"', async () => {
    const report = await restore(await holdFiles(), { overwrite: 'if_newer' });
    expect(report).toMatchObject({ created: 43, overwritten: 1, skipped: 1, exact: 44 });
    expect(report.outcomes).toEqual([{ kind: 'skipped', code: 'FILE_NOT_NEWER', path: 'b/c' }]);
    expect(await Promise.all(['a', 'b/c'].map(text))).toEqual(['this is a', 'what was here, and is newer']);
  });

  it('replaces all with "always", and nothing that the point does not hold', async () => {
    const report = await restore(await holdFiles(), { overwrite: 'always' });
    expect(report).toMatchObject({ created: 43, overwritten: 2, skipped: 0, exact: 45 });
    expect(await Promise.all(['a', 'b/c', 'mine'].map(text))).toEqual(['this is a', 'this is b/c', 'mine']);
  });

  it.each(['never', 'if_newer', 'always'] as const)('counts the same without writing, %s', async (overwrite) => {
    const record = await holdFiles();
    const before = await readdir(target, { recursive: true });
    const counted = await restore(record, { overwrite, dryRun: true });
    expect(await readdir(target, { recursive: true })).toEqual(before);
    expect(await text('a')).toBe('what was here');
    const { created, overwritten, skipped, bytesToWrite } = await restore(record, { overwrite });
    expect(counted).toMatchObject({ created, overwritten, skipped, bytesToWrite, exact: 0, dryRun: true });
  });

  it('takes nothing for whole that a killed restore left', async () => {
    const record = await job.run();
    const stop = new AbortController();
    const stopping = restore(record, { signal: stop.signal, onProgress: () => stop.abort(new Error('killed')) });
    await expect(stopping).rejects.toThrow('killed');
    for (const overwrite of ['never', 'if_newer'] as const)
      await expect(restore(record, { overwrite })).rejects.toThrow(code('ERR_RESTORE_TARGET'));
    expect(await restore(record, { overwrite: 'always' })).toMatchObject({ exact: 45, problemCount: 0 });
    expect(await restore(record, { overwrite: 'never' })).toMatchObject({ skipped: 45 });
  });

  it('makes no folder for a dry run', async () => {
    expect(await restore(await job.run(), { dryRun: true })).toMatchObject({ created: 45, bytesToWrite: 460 });
    await expect(stat(target)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('restoring to a prefix', () => {
  const targetAt = (prefix: string, change: Partial<BucketTargetOptions> = {}) =>
    new BucketTarget({
      store: job.bucket.connect(),
      prefix,
      names: destinationNames,
      protectedPrefixes: [job.prefix],
      bulk: prefixBulk(job.bucket.connect(), prefix),
      ...change,
    });

  it('copies within the storage and compares by a listing', async () => {
    const report = await restore(await job.run(), { target: targetAt('restored/') });
    expect(report).toMatchObject({ created: 45, exact: 45, problemCount: 0 });
    expect(job.bucket.read('restored/b/back＼slash')?.body.toString()).toBe('this is b/back\\slash');
  });

  it('calls no file other than it should be because of an ETag that is none: a key service encrypts the bucket', async () => {
    const record = await job.run();
    const report = await restore(record, {
      target: targetAt('restored/', { store: byKeyService(job.bucket.connect()) }),
    });
    expect(report).toMatchObject({ created: 45, exact: 0, sizeOnly: 45, problemCount: 0 });
    expect(verdictOf(report)).toMatchObject({ status: 'warning' });
  });

  it('leaves what is there, or replaces it, as it is told', async () => {
    const record = await job.run();
    const put = (): void => job.bucket.write('restored/a', Buffer.from('was here'));
    put();
    const kept = await restore(record, { target: targetAt('restored/') });
    expect(kept).toMatchObject({ created: 44, skipped: 1, exact: 44 });
    expect(job.bucket.read('restored/a')?.body.toString()).toBe('was here');
    const replaced = await restore(record, { target: targetAt('restored/'), overwrite: 'always' });
    expect(replaced).toMatchObject({ created: 0, overwritten: 45, exact: 45 });
    expect(job.bucket.read('restored/a')?.body.toString()).toBe('this is a');
  });

  it('replaces what is older: by the time that the file had, not by when it was put there', async () => {
    const mtime = (at: string): Record<string, string> => ({ mtime: String(Date.parse(at) / 1_000) });
    const record = await job.run();
    const key = job.prefix + fileKey(record.run.uuid, record.run.claimName, 'a');
    job.bucket.write(key, Buffer.from('this is a'), mtime('2020-01-01'));
    job.bucket.write('restored/a', Buffer.from('newer'), mtime('2021-01-01'));
    const options = { paths: ['a'], overwrite: 'if_newer' } as const;
    expect(await restore(record, { target: targetAt('restored/'), ...options })).toMatchObject({ skipped: 1 });
    job.bucket.write('restored/a', Buffer.from('older'), mtime('2019-01-01'));
    expect(await restore(record, { target: targetAt('restored/'), ...options })).toMatchObject({ overwritten: 1 });
    // It says no time of its own: then when it was put there counts, which is after the backup.
    job.bucket.write('restored/a', Buffer.from('put there now'));
    expect(await restore(record, { target: targetAt('restored/'), ...options })).toMatchObject({ skipped: 1 });
  });

  it('goes on where an earlier attempt stopped', async () => {
    const record = await job.run();
    await restore(record, { target: targetAt('restored/'), paths: ['many'] });
    const again = await restore(record, { target: targetAt('restored/'), continuing: true });
    expect(again).toMatchObject({ created: 45, skipped: 0, exact: 45, problemCount: 0 });
  });

  it('never writes where backups lie, whatever they are called', async () => {
    const record = await job.run();
    const before = job.bucket.keys('').length;
    for (const prefix of [job.prefix, `${job.prefix}inside/`, 'jobs/one/run_x/deep/']) {
      const refused = restore(record, { target: targetAt(prefix), overwrite: 'always' });
      await expect(refused).rejects.toThrow(code('ERR_RESTORE_TARGET'));
      // Of another installation: only its marker tells.
      const unknown = restore(record, { target: targetAt(prefix, { protectedPrefixes: [] }), overwrite: 'always' });
      await expect(unknown).rejects.toThrow(code('ERR_RESTORE_TARGET'));
    }
    expect(job.bucket.keys('').length).toBe(before);
    job.source.write('one/file', 'would lie in the prefix');
    const nested = await restore(await job.run(), { target: targetAt('jobs/') });
    expect(nested.problems).toEqual([{ path: 'one/file', code: 'PREFIX_TAKEN' }]);
    expect(verdictOf(nested)).toEqual({ status: 'warning', code: 'PREFIX_TAKEN' });
    expect(job.bucket.read('jobs/one/file')).toBeNull();
  });

  it('takes names of 255 bytes, and names those whose keys are too long', async () => {
    const long = `${'é'.repeat(127)}x`;
    const deep = Array.from({ length: 3 }, () => 'd'.repeat(250)).join('/');
    job.source.write(long, 'long');
    job.source.write(`${deep}/f`, 'deep');
    const record = await job.run();
    const report = await restore(record, { target: targetAt(`${'p'.repeat(350)}/`) });
    expect(report.problems).toEqual([{ path: `${deep}/f`, code: 'ERR_KEY_TOO_LONG' }]);
    expect(report.exact).toBe(46);
  });
});

describe('a target that does not tell case', () => {
  /** Everything under its name in lower case. */
  class Caseless implements RestoreTarget {
    readonly mayIgnoreCase = true;
    readonly isEmpty = false;
    readonly files = new Map<string, Buffer>();

    async prepare(): Promise<void> {}
    refusal(): null {
      return null;
    }
    async *look(entries: AsyncIterable<Entry>) {
      for await (const entry of entries) {
        const body = this.files.get(entry.path.toLowerCase());
        yield { entry, existing: body ? { size: body.length, hash: null, modified: body.length } : null };
      }
    }
    async copyMany(): Promise<ReadonlyMap<string, 'ERR_INTERNAL'>> {
      throw new Error('there are few files');
    }
    async copySome({ items }: SingleCopies): Promise<ReadonlyMap<string, 'ERR_INTERNAL'>> {
      const store = job.bucket.connect();
      for await (const { fromKey, toPath } of items) {
        this.files.set(toPath.toLowerCase(), (await store.get(fromKey)) ?? Buffer.alloc(0));
      }
      return new Map();
    }
    async close(): Promise<void> {}
  }

  it.each(['never', 'always'] as const)(
    'gets the first of such names, and the others are named, %s',
    async (overwrite) => {
      job.source.write('Photo.jpg', 'the first one');
      job.source.write('photo.JPG', 'another one');
      const caseless = new Caseless();
      const report = await restore(await job.run(), { target: caseless, overwrite });
      expect(report.problems).toEqual([{ path: 'photo.JPG', code: 'ERR_NAME_CASE' }]);
      expect(caseless.files.get('photo.jpg')?.toString()).toBe('the first one');
      expect(verdictOf(report)).toEqual({ status: 'warning', code: 'ERR_NAME_CASE' });
    },
  );

  it('is none where both names can be', async () => {
    job.source.write('Photo.jpg', 'the first one');
    job.source.write('photo.JPG', 'another one');
    const report = await restore(await job.run());
    expect(report).toMatchObject({ exact: 47, problemCount: 0 });
    expect(await Promise.all(['Photo.jpg', 'photo.JPG'].map(text))).toEqual(['the first one', 'another one']);
  });
});

describe('a folder that cannot be written', () => {
  it.each(['/proc/e3/deep/er', '/proc/self/fd/x', '/dev/null/x', '/sys/x/y'])(
    'is refused at once: %s',
    async (into) => {
      await expect(restore(await job.run(), { into })).rejects.toThrow(code('ERR_RESTORE_TARGET'));
    },
  );
});

describe('grouping', () => {
  const RUN = '0190aaaa-0000-7000-8000-000000000001';
  const CLAIM = 'c3-00ff00ff';
  const group = async (pairs: [string, string][]) => {
    const entries = pairs.map(([path, held]) => entryOf(path, { key: fileKey(RUN, CLAIM, held) }));
    const { groups, single } = await groupEntries(streamOf(entries), { folder: base, memoryItems: 100 }, 0);
    return {
      groups: groups.map(({ fromKey, toPath }) => [fromKey.replace(`run_${RUN}/${CLAIM}/`, ''), toPath]),
      single: single.count,
    };
  };

  it('puts files with their own names into one group, and a renamed folder into another', async () => {
    expect(
      await group([
        ['a/b', 'a/b'],
        ['c', 'c'],
      ]),
    ).toEqual({ groups: [['files', '']], single: 0 });
    expect(
      await group([
        ['new/x/y', 'old/x/y'],
        ['new/x/z', 'old/x/z'],
      ]),
    ).toEqual({ groups: [['files/old', 'new']], single: 0 });
    expect(await group([['x', 'old/x']])).toEqual({ groups: [['files/old', '']], single: 0 });
    expect(await group([['back\\slash/x', 'b\\s/x']])).toEqual({ groups: [['files/b＼s', 'back\\slash']], single: 0 });
    expect(await group([['new name', 'old name']])).toEqual({ groups: [], single: 1 });
  });
});

describe('what rclone records beside an object', () => {
  it('is read as it writes it', () => {
    expect(objectTime({ mtime: '1700000000.5' })).toBe(1_700_000_000_500);
    expect(objectTime({ mtime: '2023-11-14T22:13:20.5Z' })).toBe(1_700_000_000_500);
    expect(objectTime({ mtime: 'yesterday' })).toBeNull();
    expect(objectTime({})).toBeNull();
    expect(recordedMd5({ md5chksum: 'XrY7u+Ae7tCTyyK7j1rNww==' })).toBe('5eb63bbbe01eeed093cb22bb8f5acdc3');
    expect(recordedMd5({ md5chksum: 'x' })).toBeNull();
  });
});
