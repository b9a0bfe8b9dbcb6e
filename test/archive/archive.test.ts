import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { EntryReader } from '../../src/content/entry-reader.ts';
import { FormatError } from '../../src/layout/entries.ts';
import type { Entry } from '../../src/layout/types.ts';
import { ConnectionKilled, type FaultPlan } from '../../src/storage/memory.ts';
import { ModelEngine } from '../model/source.ts';
import { TestJob } from '../backup/job.ts';

/** Bytes that cannot be made smaller, never the same twice. */
let seed = 0;
function noise(bytes: number): Buffer {
  seed += 1;
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

let folder = '';
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'e3-archive-test-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const KIB = 1024;
const MIB = 1024 * KIB;
const mtime = '2026-03-01T10:20:30.5Z';

/** Frames of 64 KiB, objects of 12 MiB, parts of 5 MiB: all seams in a few megabytes. */
const SMALL = { frameBytes: 64 * KIB, objectBytes: 12 * MIB, partBytes: () => 5 * MIB };

const FILES: Record<string, Buffer> = {
  'a/empty': Buffer.alloc(0),
  'a/one': Buffer.from('x'),
  'a/text.txt': Buffer.from('line of text\n'.repeat(9_000)),
  'b/block': noise(512),
  'b/large.bin': noise(20 * MIB + 17),
  'b/last of a frame': noise(64 * KIB),
  'c/after.txt': Buffer.from('after'),
  'c/even.bin': noise(2 * MIB),
  'd/many/zeros.bin': Buffer.alloc(9 * MIB),
  z: Buffer.from('the end'),
};
FILES[`long/${'n'.repeat(200)}/${'é日本'.repeat(20)}`] = Buffer.from('long name');
FILES['odd/-lead'] = Buffer.from('dash');
FILES['odd/a␊b\\c'] = Buffer.from('odd');
for (let i = 0; i < 300; i += 1) FILES[`few/${i}`] = noise((i * 617) % 2_000);

function jobWith(files: Record<string, Buffer>, options: ConstructorParameters<typeof TestJob>[0] = {}): TestJob {
  const job = new TestJob({ mode: 'archive', archive: SMALL, ...options });
  for (const [path, body] of Object.entries(files)) job.source.set(path, { body, mtime });
  return job;
}

async function read(job: TestJob, entry: Entry, first = 0): Promise<Buffer> {
  const signal = new AbortController().signal;
  const reader = new EntryReader({ store: job.bucket.connect(), prefix: job.prefix, signal });
  const content = await reader.stream(entry, first);
  if (content === null) throw new Error('missing');
  return await buffer(content);
}

const archiveKeys = (job: TestJob): string[] => job.keys('run_');

describe('an archive run', () => {
  let job: TestJob;
  let entries: Map<string, Entry>;
  beforeAll(async () => {
    job = jobWith(FILES);
    const { status, point } = await job.run();
    expect(status).toBe('success');
    entries = await job.entries(point);
  }, 60_000);

  it('writes all files into few objects, and nothing else beside the manifest', () => {
    expect(archiveKeys(job).map((key) => key.replace(/^.*\//, ''))).toEqual(['archive.tar.zst', 'archive.tar.zst.002']);
    expect([...entries.keys()].sort()).toEqual(Object.keys(FILES).sort());
    expect(job.bucket.uploads()).toEqual([]);
  });

  it('gives back every file from its own place, also from the middle on', async () => {
    for (const [path, body] of Object.entries(FILES)) {
      const entry = entries.get(path) as Entry;
      expect(entry).toMatchObject({ state: 'stored', size: body.length, mtime });
      expect((await read(job, entry)).equals(body)).toBe(true);
      const middle = body.length >> 1;
      expect((await read(job, entry, middle)).equals(body.subarray(middle))).toBe(true);
    }
  }, 60_000);

  it('asks for little more than a frame to give back a small file', async () => {
    const { offset = 0, length = 0 } = entries.get('few/17') as Entry;
    expect(offset).toBeGreaterThan(0);
    expect(length).toBeLessThan(80 * KIB);
  });

  it('is one whole for GNU tar and zstd once its objects are joined', () => {
    const joined = join(folder, 'joined.tar.zst');
    const bodies = archiveKeys(job).map((key) => job.bucket.read(job.prefix + key)?.body ?? Buffer.alloc(0));
    writeFileSync(joined, Buffer.concat(bodies));
    const target = join(folder, 'unpacked');
    mkdirSync(target);
    execFileSync('zstd', ['-q', '-t', joined]);
    execFileSync('tar', ['--zstd', '-xf', joined, '-C', target], { env: { ...process.env, LC_ALL: 'C.UTF-8' } });
    for (const [path, body] of Object.entries(FILES)) {
      expect(readFileSync(join(target, path)).equals(body)).toBe(true);
      expect(statSync(join(target, path)).mtimeMs).toBe(Date.parse(mtime));
    }
  }, 60_000);

  it('writes all of it again when nothing has changed, and counts that as unchanged', async () => {
    const { status, statistics, point } = await job.run();
    expect({ status, unchanged: statistics.unchanged, added: statistics.added }).toEqual({
      status: 'success',
      unchanged: Object.keys(FILES).length,
      added: 0,
    });
    const again = await job.entries(point);
    for (const entry of again.values()) expect(entry.key).toContain(point.run);
  }, 60_000);
});

describe('what cannot be read', () => {
  const files = {
    a: Buffer.from('aa'),
    large: noise(9 * MIB),
    'large.2': noise(9 * MIB),
    z: Buffer.from('zz'),
  };

  it('leaves nothing of a small file in the archive, carries its last version, and says so', async () => {
    const job = jobWith(files);
    const first = await job.run();
    job.source.set('a', { body: Buffer.from('AA'), mtime: '2026-03-02T00:00:00Z' });
    job.source.broken.add('a');
    const { status, point, request } = await job.run();
    expect(status).toBe('warning');
    expect(request.report?.files).toEqual([{ path: 'a', code: 'ERR_PERMISSION', outcome: 'carried' }]);
    const entry = (await job.entries(point)).get('a') as Entry;
    expect(entry).toEqual({ ...(await job.entries(first.point)).get('a'), state: 'carried' });
    expect((await read(job, entry)).toString()).toBe('aa');
  }, 30_000);

  it.each([
    ['ends early', (body: Buffer) => body.subarray(0, 9 * MIB - 1)],
    ['has other bytes than the source says', (body: Buffer) => Buffer.concat([Buffer.from('!'), body.subarray(1)])],
    ['goes on beyond its size', (body: Buffer) => Buffer.concat([body, Buffer.from('!')])],
  ])(
    'names a large file that %s; its neighbours are whole',
    async (_, change) => {
      const job = jobWith(files);
      const { point, status, request } = await job.run({
        engine: changed(job, 'large', change),
      });
      expect(status).toBe('warning');
      expect(request.report?.files).toEqual([{ path: 'large', code: 'FILE_NOT_ARRIVED', outcome: 'failed' }]);
      const entries = await job.entries(point);
      for (const path of ['a', 'large.2', 'z'] as const)
        expect((await read(job, entries.get(path) as Entry)).equals(files[path])).toBe(true);
      const listed = listMembers(job);
      expect(listed).toContain(`e3-incomplete-${point.run}.txt`);
    },
    30_000,
  );

  it('fails, and leaves no object, when no file at all could be read', async () => {
    const job = jobWith({ a: Buffer.from('a'), b: noise(10 * MIB) });
    for (const path of ['a', 'b']) job.source.broken.add(path);
    await expect(job.run()).rejects.toMatchObject({ code: 'ERR_PERMISSION' });
    expect(archiveKeys(job)).toEqual([]);
    expect(job.bucket.uploads()).toEqual([]);
  });
});

describe('an archive run that ends early', () => {
  const files = { one: noise(14 * MIB), three: noise(6 * MIB), two: noise(6 * MIB) };
  const at = (operation: string, number: number, fault: ReturnType<FaultPlan>): FaultPlan => {
    let seen = 0;
    return (what) => (what === operation && ++seen === number ? fault : undefined);
  };

  it.each(['uploadPart', 'completeUpload', 'beginUpload'])(
    'leaves no object and no pending upload when %s fails',
    async (operation) => {
      const job = jobWith(files);
      const store = job.bucket.connect(at(operation, operation === 'uploadPart' ? 3 : 1, 'error-before'));
      await expect(job.run({ store })).rejects.toMatchObject({ code: 'ERR_S3_PREFLIGHT_NETWORK' });
      expect(archiveKeys(job)).toEqual([]);
      expect(job.bucket.uploads()).toEqual([]);
    },
    30_000,
  );

  it('leaves an upload in parts behind when it is killed, and never an object', async () => {
    const job = jobWith(files);
    const store = job.bucket.connect(at('uploadPart', 2, 'die-after'));
    await expect(job.run({ store })).rejects.toThrow(ConnectionKilled);
    expect(archiveKeys(job)).toEqual([]);
    expect(job.bucket.uploads()).toHaveLength(1);
  }, 30_000);
});

describe('a damaged archive', () => {
  it('is told as damaged, never read as something else', async () => {
    const job = jobWith({ ...files(), large: noise(3 * MIB) });
    const { point } = await job.run();
    const entries = [...(await job.entries(point)).values()];
    const [key = ''] = archiveKeys(job);
    const body = job.bucket.read(job.prefix + key)?.body ?? Buffer.alloc(0);
    for (const change of [
      flipped(body),
      body.subarray(0, body.length >> 2),
      Buffer.alloc(body.length),
      Buffer.alloc(0),
    ]) {
      job.bucket.write(job.prefix + key, change);
      let damaged = 0;
      for (const entry of entries) {
        const content = await read(job, entry).catch((error: unknown) => error);
        if (Buffer.isBuffer(content)) expect(content.equals(job.source.read(entry.path)?.body as Buffer)).toBe(true);
        else {
          expect(content).toBeInstanceOf(FormatError);
          damaged += 1;
        }
      }
      expect(damaged).toBeGreaterThan(0);
    }
  }, 30_000);

  function files(): Record<string, Buffer> {
    return Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`f${i}`, noise(10 * KIB)]));
  }
});

function flipped(body: Buffer): Buffer {
  const copy = Buffer.from(body);
  for (let at = 100; at < copy.length; at += 5_000) copy.writeUInt8(copy.readUInt8(at) ^ 0xff, at);
  return copy;
}

function changed(job: TestJob, name: string, change: (body: Buffer) => Buffer): ModelEngine {
  const engine = new ModelEngine(job.source, job.bucket.connect());
  const reader = engine.read({ signal: new AbortController().signal });
  engine.read = () => ({
    ...reader,
    open: async (file, first) => {
      if (file.path !== name) return await reader.open(file, first);
      const body = change(job.source.read(name)?.body ?? Buffer.alloc(0)).subarray(first);
      return (async function* () {
        yield body;
      })();
    },
  });
  return engine;
}

function listMembers(job: TestJob): string[] {
  const bodies = archiveKeys(job).map((key) => job.bucket.read(job.prefix + key)?.body ?? Buffer.alloc(0));
  return execFileSync('tar', ['--zstd', '-tf', '-'], { input: Buffer.concat(bodies), encoding: 'utf8' }).split('\n');
}
