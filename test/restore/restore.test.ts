import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyOfPath } from '../../src/layout/encoding.ts';
import { fileKey } from '../../src/layout/keys.ts';
import { BucketTarget } from '../../src/restore/bucket-target.ts';
import { groupEntries } from '../../src/restore/groups.ts';
import { LocalTarget } from '../../src/restore/local-target.ts';
import { objectTime, recordedMd5 } from '../../src/restore/object-time.ts';
import { requireExact, restorePoint, type RestoreReport } from '../../src/restore/restore-point.ts';
import { TestJob, type RunRecord } from '../backup/job.ts';
import { entryOf, streamOf } from '../layout/samples.ts';
import { storeBulk } from './memory-bulk.ts';

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

async function restore(record: RunRecord, folder?: string, into = target): Promise<RestoreReport> {
  const store = job.bucket.connect();
  return await restorePoint({
    source: job.points,
    place: record.point,
    manifestSha256: record.point.manifestSha256,
    ...(folder === undefined ? {} : { folder }),
    target: new LocalTarget({ folder: into, bucket: job.points.bucket, bulk: storeBulk(store, into) }),
    space: { folder: join(base, 'work'), memoryItems: 10 },
    signal: new AbortController().signal,
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
    expect(await restore(record, 'b')).toMatchObject({ files: 3, exact: 3 });
    expect((await readdir(target)).sort()).toEqual(['b']);
    const restored = await stat(join(target, 'b/c'));
    expect(restored.mtimeMs).toBe(Date.parse(job.source.read('b/c')?.mtime ?? ''));
    await expect(restore(record, 'no such folder', join(base, 'other'))).rejects.toThrow(code('INVALID_INPUT'));
  });

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
  });

  it('refuses a folder that is not empty, and a file in its place', async () => {
    const record = await job.run();
    await mkdir(target);
    await writeFile(join(target, 'mine'), 'x');
    await expect(restore(record)).rejects.toThrow(code('ERR_RESTORE_TARGET'));
    await expect(restore(record, '', join(target, 'mine'))).rejects.toThrow(code('ERR_RESTORE_TARGET'));
    expect(await readdir(target)).toEqual(['mine']);
  });

  it('does not write through a link that somebody puts in its way', async () => {
    const record = await job.run();
    await mkdir(join(base, 'outside'));
    await mkdir(target);
    const into = new LocalTarget({
      folder: target,
      bucket: job.points.bucket,
      bulk: storeBulk(job.bucket.connect(), target),
    });
    await into.prepare();
    await symlink(join(base, 'outside'), join(target, 'b'));
    await symlink(join(base, 'outside/a'), join(target, 'a'));
    const entries = await job.entries(record.point);
    const signal = new AbortController().signal;
    for (const path of ['a', 'b/c']) {
      const entry = entries.get(path) ?? entryOf(path);
      expect(await into.copyOne(entry, signal)).toBe('ERR_RESTORE_TARGET');
      for await (const { found } of into.inspect(streamOf([entry]), signal))
        expect(['differs', 'missing']).toContain(found);
    }
    expect(await readdir(join(base, 'outside'))).toEqual([]);
  });

  it('reports a file whose folder is another file', async () => {
    job.source.write('b', 'a file and a folder');
    const report = await restore(await job.run());
    expect(report.problems.map((problem) => problem.path).every((path) => path.startsWith('b/'))).toBe(true);
    expect(report.problemCount).toBe(3);
  });

  it('ends with the reason of the one who stopped it', async () => {
    const record = await job.run();
    const stop = new AbortController();
    stop.abort(new Error('hold lost'));
    const store = job.bucket.connect();
    const running = restorePoint({
      source: job.points,
      place: record.point,
      target: new LocalTarget({ folder: target, bucket: job.points.bucket, bulk: storeBulk(store, target) }),
      space: { folder: join(base, 'work'), memoryItems: 10 },
      signal: stop.signal,
    });
    await expect(running).rejects.toThrow('hold lost');
  });

  it('refuses a manifest that is not the one the database knows', async () => {
    const record = await job.run();
    const other = { ...record, point: { ...record.point, manifestSha256: '0'.repeat(64) } };
    await expect(restore(other)).rejects.toThrow(code('ERR_MANIFEST_INVALID'));
  });
});

describe('restoring to a prefix', () => {
  const targetAt = (prefix: string) =>
    new BucketTarget({
      store: job.bucket.connect(),
      prefix,
      fromPrefix: job.prefix,
      mayContinue: false,
      sameBucket: true,
      bulk: {
        copyOne: async () => 'ERR_INTERNAL',
        copy: async ({ fromKey, toPath, names, signal }) => {
          const store = job.bucket.connect();
          for await (const name of names) {
            const path = toPath === '' ? name : `${toPath}/${name}`;
            await store.copy(`${fromKey}/${keyOfPath(name)}`, prefix + keyOfPath(path), { signal });
          }
          return new Map();
        },
      },
    });
  const restoreTo = async (record: RunRecord, prefix: string) =>
    await restorePoint({
      source: job.points,
      place: record.point,
      target: targetAt(prefix),
      space: { folder: join(base, 'work'), memoryItems: 10 },
      signal: new AbortController().signal,
    });

  it('copies within the storage and compares by a listing', async () => {
    const record = await job.run();
    expect(await restoreTo(record, 'restored/')).toMatchObject({ exact: 45, problemCount: 0 });
    expect(job.bucket.read('restored/b/back＼slash')?.body.toString()).toBe('this is b/back\\slash');
  });

  it('refuses a prefix that is not empty', async () => {
    const record = await job.run();
    job.bucket.write('restored/x', Buffer.from('x'));
    await expect(restoreTo(record, 'restored/')).rejects.toThrow(code('ERR_RESTORE_TARGET'));
  });
});

describe('grouping', () => {
  const RUN = '0190aaaa-0000-7000-8000-000000000001';
  const CLAIM = 'c3-00ff00ff';
  const group = async (pairs: [string, string][]) => {
    const entries = pairs.map(([path, held]) => entryOf(path, { key: fileKey(RUN, CLAIM, held) }));
    const { groups, single } = await groupEntries(streamOf(entries), { folder: base, memoryItems: 100 }, 2);
    return {
      groups: groups.map(({ fromKey, toPath }) => [fromKey.replace(`run_${RUN}/${CLAIM}/`, ''), toPath]),
      single: single.length,
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
