import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobBucket } from '../../src/backup/job-bucket.ts';
import type { PointSource } from '../../src/backup/point-reader.ts';
import { judgeHead, judgeSeen, ProofTally } from '../../src/backup/proof.ts';
import { pickNumbers } from '../../src/backup/sample.ts';
import { Validation, type ValidationRequest } from '../../src/backup/validate.ts';
import { BackupError } from '../../src/errors/backup-error.ts';
import { endsChunk } from '../../src/layout/chunks.ts';
import { DeletableKeys } from '../../src/layout/deletable.ts';
import { Drill, type DrillRequest } from '../../src/restore/drill.ts';
import type { ObjectStore, StoredObject } from '../../src/storage/port.ts';
import { ensureBucket, openS3Store } from '../../src/storage/s3.ts';
import { Random } from '../model/random.ts';
import { ModelEngine } from '../model/source.ts';
import { startRcloneS3 } from '../servers/rclone-serve.ts';
import { KEYS, TestJob, type RunRecord } from './job.ts';

const FILES = ['a', 'b/one', 'b/two', 'c/deep/er', 'empty', 'z'];
/** Names after which a chunk ends. */
const CUTS = Array.from({ length: 60_000 }, (_, i) => `cut/${i}`).filter(endsChunk);
/** After every date that the model's source gives. */
const LATER = Date.parse('2100-01-01T00:00:00Z');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'e3-proofs-'));
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

/** One job with its point in a bucket, memory or real. */
class Proven {
  readonly job: TestJob;
  readonly store: ObjectStore;
  point!: RunRecord;

  constructor(job: TestJob, store: ObjectStore) {
    this.job = job;
    this.store = store;
  }

  static async of(store: ObjectStore | null, options: { hashes?: boolean; prefix?: string; more?: number } = {}) {
    const job = new TestJob(options);
    const proven = new Proven(job, store ?? job.bucket.connect());
    for (const path of FILES) job.source.write(path, path === 'empty' ? '' : `content of ${path}`);
    for (let i = 0; i < (options.more ?? 0); i += 1) job.source.write(`many/${i}`, `number ${i}`);
    proven.point = await job.run({ store: proven.store });
    return proven;
  }

  get points(): PointSource {
    const bucket = new JobBucket(this.store, this.job.prefix, new AbortController().signal);
    return { bucket, job: this.job.uuid, keys: KEYS };
  }

  get place(): { run: string; claim: string } {
    return { run: this.point.point.run, claim: this.point.point.claim };
  }

  objectOf(path: string): string {
    return `${this.job.prefix}run_${this.place.run}/${this.place.claim}/files/${path}`;
  }

  async remove(key: string): Promise<void> {
    const { prefix } = this.job;
    await this.store.delete([new DeletableKeys(prefix).of(key.slice(prefix.length))]);
  }

  async validate(change: Partial<ValidationRequest> = {}): Promise<Validation> {
    const validation = new Validation({
      points: this.points,
      place: this.place,
      manifestSha256: this.point.point.manifestSha256,
      sample: null,
      source: new ModelEngine(this.job.source, this.store),
      begunAt: LATER,
      space: { folder, memoryItems: 20 },
      signal: new AbortController().signal,
      ...change,
    });
    await validation.execute();
    return validation;
  }

  async drill(change: Partial<DrillRequest> = {}): Promise<Drill> {
    const random = new Random(3);
    const drill = new Drill({
      points: this.points,
      place: this.place,
      manifestSha256: this.point.point.manifestSha256,
      canary: null,
      maxFiles: 100,
      maxBytes: 1_000_000,
      random: () => random.next(),
      clock: () => 0,
      signal: new AbortController().signal,
      ...change,
    });
    await drill.execute();
    return drill;
  }
}

const damage = (tally: ProofTally) => tally.told.filter(({ kind }) => kind === 'missing' || kind === 'differs');

const stores: [name: string, open: () => Promise<{ store: () => ObjectStore | null; close: () => Promise<void> }>][] = [
  ['in memory', () => Promise.resolve({ store: () => null, close: () => Promise.resolve() })],
  [
    'on rclone serve s3',
    async () => {
      const server = await startRcloneS3();
      await ensureBucket(server.access('proofs'));
      return { store: () => openS3Store(server.access('proofs')), close: async () => await server.stop() };
    },
  ],
];

describe.each(stores)('validation and restore test %s', (_, open) => {
  let jobs = 0;
  let close: () => Promise<void>;
  let store: () => ObjectStore | null;
  beforeAll(async () => ({ store, close } = await open()), 60_000);
  afterAll(async () => await close());
  const prove = async (options: Parameters<typeof Proven.of>[1] = {}): Promise<Proven> => {
    jobs += 1;
    return await Proven.of(store(), { prefix: `jobs/${jobs}/`, ...options });
  };

  it('find nothing wrong with a good point, whose every file they compared by content', async () => {
    const proven = await prove({ more: 60 });
    const validation = await proven.validate();
    expect(validation.outcome).toBe('success');
    expect(validation.tally).toMatchObject({ files: 66, exact: 66, totals: {} });
    expect(validation.source).toEqual({ byChecksum: 66, bySize: 0, unread: 0, error: null });
    const drill = await proven.drill({ maxFiles: 30 });
    expect(drill.outcome).toBe('success');
    expect(drill.tally).toMatchObject({ files: 30, exact: 30 });
    expect(drill.canary).toBe('many/59');
  });

  it('name every object that is gone, cut short, or holds other bytes of the same size', async () => {
    const proven = await prove({ more: 60 });
    await proven.remove(proven.objectOf('a'));
    await proven.store.put(proven.objectOf('b/one'), Buffer.from('content'));
    await proven.store.put(proven.objectOf('many/7'), Buffer.from('NUMBER 7'));
    const expected = [
      { kind: 'missing', code: 'OBJECT_MISSING', path: 'a' },
      { kind: 'differs', code: 'OBJECT_SIZE', path: 'b/one' },
      { kind: 'differs', code: 'OBJECT_DIFFERS', path: 'many/7' },
    ];
    const validation = await proven.validate();
    expect(validation.outcome).toBe('failed');
    expect(damage(validation.tally)).toEqual(expected);
    expect(validation.tally).toMatchObject({ files: 66, exact: 63, totals: { missing: 1, differs: 2 } });
    const sampled = await proven.validate({ sample: { files: 1000, random: Math.random } });
    expect(damage(sampled.tally)).toEqual(expected);
    const drill = await proven.drill();
    expect(drill.outcome).toBe('failed');
    expect(damage(drill.tally)).toEqual(expected);
  });

  it('name a chunk that is missing or altered, and prove the rest', async () => {
    const proven = await prove();
    for (let i = 0; i < 3; i += 1) proven.job.source.write(CUTS[i] ?? '', 'x');
    proven.job.source.write('cut/9', 'y');
    proven.point = await proven.job.run({ store: proven.store });
    const manifest = JSON.parse(
      (await proven.store.get(proven.job.prefix + proven.point.point.manifestKey))?.toString() ?? '',
    ) as { chunks: { key: string; entries: number }[]; files: number };
    expect(manifest.chunks.length).toBeGreaterThan(1);
    const [first, second] = manifest.chunks;
    await proven.remove(proven.job.prefix + (first?.key ?? ''));
    const gone = { kind: 'missing', code: 'ERR_MANIFEST_INVALID', path: first?.key };
    const validation = await proven.validate();
    expect(damage(validation.tally)).toEqual([gone]);
    expect(validation.tally.exact).toBe(manifest.files - (first?.entries ?? 0));
    expect(damage((await proven.drill()).tally)).toEqual([gone]);
    // A sample need not fall into the chunk: that it is there is looked at all the same.
    const sampled = await proven.validate({ sample: { files: 1, random: () => 0.999 } });
    expect(damage(sampled.tally)).toEqual([gone]);
    await proven.store.put(proven.job.prefix + (second?.key ?? ''), Buffer.from('forged'));
    const both = [gone, { kind: 'differs', code: 'ERR_MANIFEST_INVALID', path: second?.key }];
    const byPath = (a: { path: string | undefined }, b: { path: string | undefined }): number =>
      String(a.path) < String(b.path) ? -1 : 1;
    expect([...damage((await proven.validate()).tally)].sort(byPath)).toEqual(both.sort(byPath));
    expect([...damage((await proven.drill()).tally)].sort(byPath)).toEqual(both.sort(byPath));
  });

  it('name a manifest that was forged or is gone', async () => {
    const proven = await prove();
    const key = proven.job.prefix + proven.point.point.manifestKey;
    const manifest = (await proven.store.get(key))?.toString() ?? '';
    await proven.store.put(key, Buffer.from(manifest.replace('"failed":0', '"failed":0 ')));
    const forged = { kind: 'differs', code: 'ERR_MANIFEST_INVALID', path: proven.point.point.manifestKey };
    expect(damage((await proven.validate()).tally)).toEqual([forged]);
    expect(damage((await proven.drill()).tally)).toEqual([forged]);
    await proven.remove(key);
    expect(damage((await proven.validate()).tally)).toEqual([{ ...forged, kind: 'missing' }]);
    expect((await proven.drill()).outcome).toBe('failed');
  });
});

/** A store as it looks when no checksums are to be had: by encryption of a key service (`heads`), or for other reasons (`all`). */
function withoutChecksums(store: ObjectStore, where: 'heads' | 'all'): ObjectStore {
  const bare = Object.create(store) as ObjectStore;
  return Object.assign(bare, {
    head: async (key: string) => {
      const head = await store.head(key);
      return head === null ? null : { ...head, md5: null };
    },
    async *list(prefix: string): AsyncGenerator<StoredObject> {
      for await (const object of store.list(prefix)) yield where === 'all' ? { ...object, md5: null } : object;
    },
    get: async (key: string) => await store.get(key),
    stream: async (key: string) => await store.stream(key),
    listFolders: async (prefix: string) => await store.listFolders(prefix),
    put: async (key: string, body: Buffer) => await store.put(key, body),
  });
}

describe('where checksums are missing', () => {
  it('the outcome is one of its own, and nothing is called verified', async () => {
    const made = await Proven.of(null, { more: 40 });
    const without = withoutChecksums(made.store, 'all');
    const proven = new Proven(made.job, without);
    made.job.source.write('a', 'another content');
    proven.point = await made.job.run({ store: without });
    const validation = await proven.validate({ source: null });
    expect(validation.outcome).toBe('size_only');
    const drill = await proven.drill();
    expect(drill.outcome).toBe('size_only');
    expect(drill.tally.told).toContainEqual({ kind: 'size_only', code: 'NO_CHECKSUM', path: 'a' });
  });

  it('an ETag that looks like an MD5 and is none proves nothing and accuses nobody', async () => {
    const proven = await Proven.of(null, { more: 40 });
    const encrypted = new Proven(proven.job, withoutChecksums(proven.store, 'heads'));
    encrypted.point = proven.point;
    const validation = await encrypted.validate();
    expect(validation.outcome).toBe('size_only');
    // Only the empty file needs no checksum.
    expect(validation.tally).toMatchObject({ exact: 1, totals: { size_only: 45 } });
    expect((await encrypted.validate({ sample: { files: 99, random: Math.random } })).outcome).toBe('size_only');
  });

  it('a restore test tells such a tag from other bytes', async () => {
    const proven = await Proven.of(null);
    const entries = await proven.job.entries(proven.place);
    const tag = entries.get('a')?.hash?.slice(4) ?? '';
    const store = withoutChecksums(proven.store, 'heads');
    const bytes = Buffer.from('CONTENT OF a');
    const tagged = Object.assign(Object.create(store) as ObjectStore, store, {
      async *list(prefix: string): AsyncGenerator<StoredObject> {
        for await (const object of store.list(prefix))
          yield object.key.endsWith('/files/a') ? { ...object, md5: tag } : object;
      },
    });
    await proven.store.put(proven.objectOf('a'), bytes);
    const drill = new Proven(proven.job, tagged);
    drill.point = proven.point;
    expect((await drill.drill()).tally.told).toEqual([{ kind: 'size_only', code: 'NO_CHECKSUM', path: 'a' }]);
    expect(damage((await proven.drill()).tally)).toEqual([{ kind: 'differs', code: 'OBJECT_DIFFERS', path: 'a' }]);
  });

  it('a source that tells none is compared by size and date, which is said', async () => {
    const proven = await Proven.of(null, { hashes: false });
    const validation = await proven.validate();
    expect(validation.outcome).toBe('size_only');
    expect(validation.tally.exact).toBe(FILES.length);
    expect(validation.source).toMatchObject({ byChecksum: 1, bySize: FILES.length - 1 });
  });

  it('the MD5 recorded beside an upload in parts is taken', () => {
    const entry = {
      path: 'a',
      size: 11,
      mtime: '2026-01-01T00:00:00Z',
      hash: 'md5:5eb63bbbe01eeed093cb22bb8f5acdc3',
      key: 'x',
      state: 'stored' as const,
    };
    const object = { key: 'x', size: 11, md5: null, lastModified: 0 };
    expect(judgeSeen(entry, object)).toBe('ask');
    expect(judgeHead(entry, { ...object, metadata: { md5chksum: 'XrY7u+Ae7tCTyyK7j1rNww==' } })).toBe('exact');
    expect(judgeHead(entry, { ...object, metadata: { md5chksum: 'AAAAAAAAAAAAAAAAAAAAAA==' } })).toBe('OBJECT_DIFFERS');
    expect(judgeHead(entry, { ...object, metadata: {} })).toBe('NO_CHECKSUM');
    expect(judgeHead(entry, null)).toBe('OBJECT_MISSING');
    expect(judgeSeen({ ...entry, offset: 0, length: 5 }, object)).toBe('NO_CHECKSUM');
  });
});

describe('the source', () => {
  it('that changed since the backup is told as such and is no damage', async () => {
    const proven = await Proven.of(null);
    const { source } = proven.job;
    source.write('a', 'newer content');
    source.set('z', null);
    source.write('new', 'not in the point');
    const validation = await proven.validate();
    expect(validation.outcome).toBe('success');
    expect(validation.tally.told).toEqual([
      { kind: 'changed_since', code: 'SOURCE_CHANGED', path: 'a' },
      { kind: 'changed_since', code: 'SOURCE_DELETED', path: 'z' },
    ]);
    const sampled = await proven.validate({ sample: { files: 99, random: Math.random } });
    expect(sampled.tally.told).toEqual(validation.tally.told);
  });

  it('that holds other bytes under the same date differs, unless the date lies within the run', async () => {
    const proven = await Proven.of(null);
    const { source } = proven.job;
    const mtime = source.read('a')?.mtime ?? '';
    source.set('a', { body: Buffer.from('CONTENT OF A'), mtime });
    const differs = await proven.validate();
    expect(damage(differs.tally)).toEqual([{ kind: 'differs', code: 'SOURCE_DIFFERS', path: 'a' }]);
    const meanwhile = await proven.validate({ begunAt: Date.parse(mtime) });
    expect(meanwhile.tally.told).toEqual([{ kind: 'changed_since', code: 'SOURCE_CHANGED', path: 'a' }]);
  });

  it('that cannot be listed, or only in part, leaves what is stored compared', async () => {
    const proven = await Proven.of(null);
    proven.job.source.unreadable.add('b');
    const partly = await proven.validate();
    expect(partly.source).toEqual({ byChecksum: 4, bySize: 0, unread: 2, error: 'ERR_SOURCE_LISTING' });
    expect(partly.tally.exact).toBe(FILES.length);
    proven.job.source.onAccess = () => {
      throw new BackupError('ERR_S3_AUTH');
    };
    const refused = await proven.validate();
    expect(refused.source.error).toBe('ERR_S3_AUTH');
    expect(refused.outcome).toBe('success');
  });
});

describe('a restore test', () => {
  it('reads the same canary each time while it is there, else the newest small file', async () => {
    const proven = await Proven.of(null);
    proven.job.source.write('large', 'x'.repeat(1024 * 1024 + 1));
    proven.point = await proven.job.run();
    const first = await proven.drill({ maxFiles: 1 });
    expect(first.canary).toBe('z');
    expect((await proven.drill({ canary: 'a', maxFiles: 1 })).canary).toBe('a');
    expect((await proven.drill({ canary: 'gone', maxFiles: 1 })).canary).toBe('z');
    expect((await proven.drill({ canary: 'empty', maxFiles: 1 })).canary).toBe('z');
  });

  it('proves nothing by reading nothing: all that was drawn could not be backed up', async () => {
    const job = new TestJob();
    for (let i = 0; i < 20; i += 1) {
      job.source.write(`broken/${i}`, 'x');
      job.source.broken.add(`broken/${i}`);
    }
    job.source.write('whole', 'x'.repeat(1_100_000));
    const proven = new Proven(job, job.bucket.connect());
    proven.point = await job.run();
    const drill = await proven.drill({ maxFiles: 1, random: () => 0 });
    expect([drill.tally.files, drill.outcome]).toEqual([0, 'size_only']);
  });

  it('reads no more than it may, and one file at least', async () => {
    const proven = await Proven.of(null, { more: 30 });
    const few = await proven.drill({ maxFiles: 5 });
    expect(few.tally.files).toBe(5);
    const small = await proven.drill({ maxBytes: 40 });
    expect(small.tally.files).toBeGreaterThan(1);
    expect(small.tally.bytes).toBeLessThanOrEqual(40);
    expect((await proven.drill({ maxBytes: 0, maxFiles: 1 })).tally.files).toBe(1);
  });

  it('draws other files with other numbers, and every file sooner or later', () => {
    const random = new Random(11);
    const draw = (): number[] => pickNumbers(20, 5, () => random.next());
    const seen = new Set<number>();
    for (let i = 0; i < 200; i += 1) {
      const numbers = draw();
      expect(new Set(numbers).size).toBe(5);
      for (const number of numbers) seen.add(number);
    }
    expect(seen.size).toBe(20);
    expect(pickNumbers(3, 10, () => 0.999_999).sort()).toEqual([0, 1, 2]);
  });
});

describe('one that is stopped', () => {
  it('throws the reason, and keeps what it found', async () => {
    const proven = await Proven.of(null, { more: 300 });
    await proven.remove(proven.objectOf('a'));
    const stop = new AbortController();
    const validation = new Validation({
      points: proven.points,
      place: proven.place,
      sample: null,
      source: null,
      begunAt: LATER,
      space: { folder, memoryItems: 50 },
      signal: stop.signal,
      onProgress: () => stop.abort(new BackupError('ERR_YIELDED')),
    });
    await expect(validation.execute()).rejects.toMatchObject({ code: 'ERR_YIELDED' });
    expect(validation.tally.files).toBeGreaterThanOrEqual(200);
    expect(validation.tally.files).toBeLessThan(306);
    expect(damage(validation.tally)).toEqual([{ kind: 'missing', code: 'OBJECT_MISSING', path: 'a' }]);
  });

  it('names ten thousand damaged files at most, and counts all, with damage before remarks', () => {
    const tally = new ProofTally();
    for (let i = 0; i < 3_000; i += 1) tally.add({ kind: 'size_only', code: 'NO_CHECKSUM', path: `s${i}` });
    for (let i = 0; i < 12_000; i += 1) tally.add({ kind: 'missing', code: 'OBJECT_MISSING', path: `m${i}` });
    expect(tally.totals).toEqual({ size_only: 3_000, missing: 12_000 });
    expect(tally.told.length).toBe(11_000);
    expect(tally.told[0]?.kind).toBe('missing');
    expect(tally.told.at(-1)?.kind).toBe('size_only');
  });
});
