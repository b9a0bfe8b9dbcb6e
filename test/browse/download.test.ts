import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { archiveOf } from '../../src/browse/download.ts';
import { DistinctNames, unixName, windowsName } from '../../src/browse/archive-names.ts';
import { readChecked, WHOLE_BYTES, type Objects } from '../../src/browse/object-content.ts';
import { countSelected, normaliseSelection, selectedEntries } from '../../src/browse/selection.ts';
import type { Entry } from '../../src/layout/types.ts';
import { MemoryBucket, type FaultPlan } from '../../src/storage/memory.ts';
import { collect, entryOf } from '../layout/samples.ts';
import { library, PREFIX, storedFile, writePoint } from './points.ts';

let bucket: MemoryBucket;
let folder: string;
beforeEach(() => {
  bucket = new MemoryBucket();
  folder = mkdtempSync(join(tmpdir(), 'e3-download-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const objects = (faults?: FaultPlan, signal = new AbortController().signal): Objects => ({
  store: bucket.connect(faults),
  prefix: PREFIX,
  signal,
});

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

async function make(format: 'zip' | 'tar', entries: readonly Entry[], from = objects()): Promise<string> {
  const point = { id: 'the point', takenAt: '2026-01-02T03:04:05.000Z' };
  const pieces = await collect(archiveOf({ entries: each(entries), objects: from, format, point }));
  const file = join(folder, `made.${format}`);
  writeFileSync(file, Buffer.concat(pieces));
  return file;
}

/** Lets everything that can go on go on. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** What the real programs take out of an archive, by path. */
function unpack(file: string): Map<string, Buffer> {
  const to = join(folder, 'out');
  if (file.endsWith('.zip'))
    execFileSync('unzip', ['-q', file, '-d', to], { env: { ...process.env, LC_ALL: 'C.UTF-8' } });
  else {
    execFileSync('mkdir', ['-p', to]);
    execFileSync('tar', ['-xf', file, '-C', to], { stdio: 'pipe' });
  }
  const found = new Map<string, Buffer>();
  for (const name of readdirSync(to, { recursive: true, encoding: 'utf8' })) {
    if (statSync(join(to, name)).isFile()) found.set(name, readFileSync(join(to, name)));
  }
  return found;
}

describe.each(['zip', 'tar'] as const)('a download as %s', (format) => {
  it('holds every file, byte for byte, as the real program unpacks it', async () => {
    const large = randomBytes(WHOLE_BYTES + 123_456);
    const contents: Record<string, Buffer> = {
      'a.txt': Buffer.from('hello'),
      empty: Buffer.alloc(0),
      'folder/ä ö 😀.bin': randomBytes(70_000),
      'folder/deep/large.bin': large,
      [`long/${'n'.repeat(240)}/${'m'.repeat(240)}`]: Buffer.from('long'),
    };
    const entries = Object.entries(contents).map(([path, body]) => storedFile(bucket, path, body));
    const found = unpack(await make(format, entries));
    expect([...found.keys()].sort()).toEqual(Object.keys(contents).sort());
    for (const [path, body] of Object.entries(contents)) expect(found.get(path)?.equals(body)).toBe(true);
  });

  it('takes files of any time', async () => {
    const times = [
      '1601-01-01T00:00:00Z',
      '1969-12-31T23:59:59Z',
      '2200-02-31T00:00:00Z',
      '9999-12-31T23:59:59.999999999Z',
    ];
    const entries = times.map((mtime, i) => storedFile(bucket, `f${i}`, 'x', { mtime }));
    expect(unpack(await make(format, entries)).size).toBe(times.length);
  });

  it('leaves out what is missing or damaged, and names it in a report', async () => {
    const gone = storedFile(bucket, 'gone.txt', 'gone');
    bucket.remove(PREFIX + gone.key);
    const altered = storedFile(bucket, 'altered.txt', 'before');
    bucket.write(PREFIX + altered.key, Buffer.from('after!'));
    const bigAltered = storedFile(bucket, 'big-altered', randomBytes(WHOLE_BYTES + 10));
    bucket.write(PREFIX + bigAltered.key, randomBytes(WHOLE_BYTES + 10));
    const grown = storedFile(bucket, 'grown.txt', 'small');
    bucket.write(PREFIX + grown.key, Buffer.alloc(9_000_000));
    const entries = [
      altered,
      bigAltered,
      grown,
      storedFile(bucket, 'good.txt', 'good'),
      gone,
      entryOf('never.txt', { state: 'failed', key: '', hash: null }),
      storedFile(bucket, 'old.txt', 'old', { state: 'carried' }),
    ];
    const found = unpack(await make(format, entries));
    expect([...found.keys()].sort()).toEqual(['RESTORE-REPORT.txt', 'good.txt', 'old.txt']);
    const report = found.get('RESTORE-REPORT.txt')?.toString() ?? '';
    expect(report).toContain('Files in this archive: 2. Files left out: 5.');
    for (const path of ['gone.txt', 'grown.txt', 'altered.txt', 'big-altered', 'never.txt', 'old.txt'])
      expect(report).toContain(`  ${path}`);
    expect(report).not.toContain('good.txt');
  });

  it('is cut when a large file turns out to be another one on the way, and cannot pass for whole', async () => {
    const body = randomBytes(WHOLE_BYTES * 2);
    const entry = storedFile(bucket, 'large', body);
    // The listing still tells the old hash, as a store does whose disk rots.
    const rotten = objects();
    const store = {
      ...rotten.store,
      head: async (key: string) => await rotten.store.head(key),
      stream: async () => {
        const { Readable } = await import('node:stream');
        const other = Buffer.from(body);
        other[WHOLE_BYTES] = (other[WHOLE_BYTES] ?? 0) ^ 1;
        return Readable.from([other.subarray(0, 1_000_000), other.subarray(1_000_000)]);
      },
    };
    const pieces: Uint8Array[] = [];
    const read = async (): Promise<void> => {
      const point = { id: 'p', takenAt: '2026-01-02T03:04:05.000Z' };
      const from = { ...rotten, store };
      for await (const piece of archiveOf({ entries: each([entry]), objects: from, format, point })) pieces.push(piece);
    };
    await expect(read()).rejects.toMatchObject({ code: 'ERR_RESTORE_MISMATCH' });
    const file = join(folder, `cut.${format}`);
    writeFileSync(file, Buffer.concat(pieces));
    const test = format === 'zip' ? ['unzip', '-tq', file] : ['tar', '-tf', file];
    expect(() => execFileSync(test[0] ?? '', test.slice(1), { stdio: 'pipe' })).toThrow();
  });

  it('stops reading the bucket when nobody reads it any more', async () => {
    const entries = Array.from({ length: 400 }, (_, i) =>
      storedFile(bucket, `f${String(i).padStart(3, '0')}`, randomBytes(64_000)),
    );
    let reads = 0;
    const counted = objects((operation) => {
      if (operation === 'get') reads += 1;
      return undefined;
    });
    const point = { id: 'p', takenAt: '2026-01-02T03:04:05.000Z' };
    for await (const _ of archiveOf({ entries: each(entries), objects: counted, format, point })) break;
    await turns(50);
    // What was under way came to its end, and that was all.
    const after = reads;
    expect(after).toBeLessThan(60);
    await turns(200);
    expect(reads).toBe(after);
  });

  it('reads no faster than it is taken', async () => {
    const entries = Array.from({ length: 200 }, (_, i) => storedFile(bucket, `f${i}`, randomBytes(200_000)));
    let reads = 0;
    const counted = objects((operation) => {
      if (operation === 'get') reads += 1;
      return undefined;
    });
    const point = { id: 'p', takenAt: '2026-01-02T03:04:05.000Z' };
    const iterator = archiveOf({ entries: each(entries), objects: counted, format, point })[Symbol.asyncIterator]();
    await iterator.next();
    await turns(500);
    expect(reads).toBeLessThan(60);
    await iterator.return?.(undefined);
  });
});

describe('names in an archive', () => {
  it('are such that Windows writes them where they belong', () => {
    expect(windowsName('a\\..\\..\\b')).toBe('a＼..＼..＼b');
    expect(windowsName('C:/x:y/con/NUL.txt/com1.tar.gz/console')).toBe('C：/x：y/con_/NUL_.txt/com1_.tar.gz/console');
    expect(windowsName('end./end /"<>|?*"')).toBe('end．/end␠/＂＜＞｜？＊＂');
    expect(unixName('a\\b:c')).toBe('a＼b:c');
  });

  it('differ in more than their case, and no file is a folder too', () => {
    const names = new DistinctNames();
    const taken = [
      'README.TXT',
      'Readme.txt',
      'a',
      'A/b',
      'a/B',
      'x.tar',
      'x/y',
      'ä',
      'a\u0308',
      '.x',
      '.X',
      'Z/z',
      'z',
    ].map((name) => names.take(name));
    expect(taken).toEqual([
      'README.TXT',
      'Readme (2).txt',
      'a',
      'A (folder)/b',
      'a (folder)/B (2)',
      'x.tar',
      'x/y',
      'ä',
      'a\u0308 (2)',
      '.x',
      '.X (2)',
      'Z/z',
      'z (2)',
    ]);
  });

  it('that differ by case only, tens of thousands of them, are given without counting from the beginning each time', () => {
    const names = new DistinctNames();
    const spelled = (number: number): string =>
      [...number.toString(2).padStart(16, '0')].map((bit) => (bit === '0' ? 'a' : 'A')).join('');
    const taken = Array.from({ length: 50_000 }, (_, number) => names.take(spelled(number)));
    expect(new Set(taken.map((name) => name.toLowerCase())).size).toBe(50_000);
    expect(taken.at(-1)).toBe(`${spelled(49_999)} (50000)`);
  });
});

describe('one file', () => {
  it('goes on where its connection broke', async () => {
    const body = randomBytes(300_000);
    const entry = storedFile(bucket, 'x', body);
    const { store } = objects();
    const ranges: unknown[] = [];
    const { Readable } = await import('node:stream');
    const { BackupError } = await import('../../src/errors/backup-error.ts');
    const breaking = {
      ...store,
      stream: (_key: string, options: { range?: { first: number; last: number } } = {}) => {
        ranges.push(options.range ?? null);
        const from = options.range?.first ?? 0;
        async function* some(): AsyncGenerator<Buffer> {
          yield body.subarray(from, from + 120_000);
          if (from < 200_000) throw new BackupError('ERR_S3_PREFLIGHT_NETWORK');
        }
        return Promise.resolve(Readable.from(some(), { objectMode: false }));
      },
    };
    const got = Buffer.concat(await collect(readChecked({ ...objects(), store: breaking }, entry)));
    expect(got.equals(body)).toBe(true);
    expect(ranges).toEqual([null, { first: 120_000, last: 299_999 }, { first: 240_000, last: 299_999 }]);
  });

  it('never comes whole when its content is another one', async () => {
    const entry = storedFile(bucket, 'x', 'right');
    bucket.write(PREFIX + entry.key, Buffer.from('wrong'));
    const pieces: Buffer[] = [];
    const read = async (): Promise<void> => {
      for await (const piece of readChecked(objects(), entry)) pieces.push(piece);
    };
    await expect(read()).rejects.toMatchObject({ code: 'ERR_RESTORE_MISMATCH' });
    expect(Buffer.concat(pieces).length).toBeLessThan(entry.size);
    bucket.remove(PREFIX + entry.key);
    await expect(read()).rejects.toMatchObject({ code: 'ERR_OBJECT_MISSING' });
  });
});

describe('a selection', () => {
  it('is put in order, without what lies in it twice', () => {
    expect(normaliseSelection(['b/', '/a/c', 'a', 'a/c/d', 'ab', 'b'])).toEqual(['a', 'ab', 'b']);
    expect(normaliseSelection([])).toEqual(['']);
    expect(normaliseSelection(['a', ''])).toEqual(['']);
  });

  it.each(['../x', 'a/../b', 'a//b', './a', 'a/.', 'a\u0000b', '\ud800'])('never leaves the point: %j', (path) => {
    expect(() => normaliseSelection([path])).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
  });

  it('brings a file, a folder, and both where both have the same name', async () => {
    const written = await writePoint(
      ['a', 'a-b', 'a/x', 'a/y/z', 'ab', 'b'].map((path) => entryOf(path)),
      { bucket },
    );
    const point = await library().open(written.place);
    const paths = async (...chosen: string[]): Promise<string[]> =>
      (await collect(selectedEntries(point, normaliseSelection(chosen)))).map((entry) => entry.path);
    expect(await paths('a')).toEqual(['a', 'a/x', 'a/y/z']);
    expect(await paths('a/y', 'b')).toEqual(['a/y/z', 'b']);
    expect(await paths()).toEqual(['a', 'a-b', 'a/x', 'a/y/z', 'ab', 'b']);
    expect(await countSelected(point, ['a', 'b'])).toBe(4);
    await expect(countSelected(point, ['a', 'nowhere'])).rejects.toMatchObject({ code: 'PATH_NOT_FOUND' });
  });
});
