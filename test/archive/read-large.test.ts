import { describe, expect, it } from '@jest/globals';
import { createCipheriv, createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { readLarge } from '../../src/archive/read-large.ts';
import { EntryReader } from '../../src/content/entry-reader.ts';
import type { PartReader, SourceReader } from '../../src/engines/port.ts';
import { BackupError } from '../../src/errors/backup-error.ts';
import type { ListedFile } from '../../src/layout/compare.ts';
import type { Entry } from '../../src/layout/types.ts';
import { TestJob } from '../backup/job.ts';
import { ModelEngine } from '../model/source.ts';

const MIB = 1024 * 1024;
const mtime = '2026-03-01T10:20:30.5Z';
const BODY = createCipheriv('aes-128-ctr', Buffer.alloc(16, 9), Buffer.alloc(16)).update(Buffer.alloc(30 * MIB + 17));
const FILE: ListedFile = { path: 'large', size: BODY.length, mtime, hash: null };

type Answer = (first: number, into: Buffer, number: number) => string | null | Promise<string | null>;

/** Fills a part with what it should hold. */
function fill(body: Buffer, first: number, into: Buffer, version = 'v1'): string {
  if (body.copy(into, 0, first) !== into.length) throw new Error('a part beyond the end');
  return version;
}

/** A source that gives parts as `answer` says, and files from their beginning as they are. */
function source(answer: Answer): SourceReader & { readonly opened: () => number } {
  let asked = 0;
  let opened = 0;
  const parts: PartReader = {
    atOnce: 3,
    read: async (_file, first, into) => {
      asked += 1;
      return await answer(first, into, asked);
    },
  };
  return {
    filesAtOnce: 1,
    parts,
    opened: () => opened,
    async open(_file, first) {
      opened += 1;
      return (async function* () {
        yield BODY.subarray(first);
      })();
    },
    close: async () => undefined,
  };
}

describe('a large file that is read in parts', () => {
  it('comes whole and in order, whichever part is there first; only so many are held at once', async () => {
    let under = 0;
    let most = 0;
    const memory = new Set<ArrayBufferLike>();
    const reader = source(async (first, into, number) => {
      under += 1;
      most = Math.max(most, under);
      memory.add(into.buffer);
      for (let wait = number % 3; wait < 3; wait += 1) await turn();
      under -= 1;
      return fill(BODY, first, into);
    });
    const hash = createHash('sha256');
    let passed = 0;
    for await (const piece of readLarge(FILE, reader)) {
      hash.update(piece);
      passed += piece.length;
      // Whoever writes it takes its time: what is read meanwhile goes elsewhere.
      await turn();
    }
    expect(passed).toBe(BODY.length);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(BODY).digest('hex'));
    expect(most).toBe(3);
    expect(memory.size).toBeLessThanOrEqual(4);
    expect(reader.opened()).toBe(0);
  });

  it('is read from its beginning to its end where the source gives no parts', async () => {
    const reader = source(() => null);
    expect((await buffer(readLarge(FILE, reader))).equals(BODY)).toBe(true);
    expect(reader.opened()).toBe(1);
  });

  it.each<[string, Answer]>([
    [
      'of which a later part is of another version',
      (first, into, number) => fill(BODY, first, into, number < 5 ? 'v1' : 'v2'),
    ],
    ['of which a later part is none', (first, into, number) => (number < 5 ? fill(BODY, first, into) : null)],
  ])('%s ends with an error, and is never put together of both', async (_, answer) => {
    await expect(buffer(readLarge(FILE, source(answer)))).rejects.toMatchObject({ code: 'ERR_RESUME_DIFFERS' });
  });

  it('lets go of what it reads when nobody wants more of it', async () => {
    let under = 0;
    const reader = source(async (first, into) => {
      under += 1;
      await turn();
      under -= 1;
      return fill(BODY, first, into);
    });
    for await (const piece of readLarge(FILE, reader)) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    expect(under).toBe(0);
  });
});

describe('an archive run whose source gives parts', () => {
  const files: Record<string, Buffer> = { a: Buffer.from('aa'), large: BODY, 'large.2': BODY.subarray(1), z: BODY };

  async function run(answer: (path: string, first: number, into: Buffer) => string | null) {
    const job = new TestJob({ mode: 'archive' });
    for (const [path, body] of Object.entries(files)) job.source.set(path, { body, mtime });
    const engine = new ModelEngine(job.source, job.bucket.connect());
    const reader = engine.read({ signal: new AbortController().signal });
    const parts: PartReader = { atOnce: 4, read: async ({ path }, first, into) => answer(path, first, into) };
    engine.read = () => ({ ...reader, parts });
    const { status, point, request } = await job.run({ engine });
    const entries = await job.entries(point);
    expect(job.bucket.uploads()).toEqual([]);
    return { job, status, entries, named: request.report?.files ?? [] };
  }

  async function read(job: TestJob, entry: Entry): Promise<Buffer> {
    const { signal } = new AbortController();
    const content = await new EntryReader({ store: job.bucket.connect(), prefix: job.prefix, signal }).stream(entry);
    return content === null ? Buffer.alloc(0) : await buffer(content);
  }

  const honest = (path: string, first: number, into: Buffer): string =>
    fill(files[path] ?? Buffer.alloc(0), first, into);

  it('holds every file as it is', async () => {
    const { job, status, entries } = await run(honest);
    expect(status).toBe('success');
    for (const [path, body] of Object.entries(files))
      expect((await read(job, entries.get(path) as Entry)).equals(body)).toBe(true);
  }, 60_000);

  it.each<[string, string, (first: number, into: Buffer) => string | null]>([
    [
      'fails',
      'ERR_NETWORK',
      () => {
        throw new BackupError('ERR_NETWORK');
      },
    ],
    ['is of another version', 'ERR_RESUME_DIFFERS', (first, into) => fill(BODY, first, into, 'v2')],
    ['is not what was asked for', 'ERR_RESUME_DIFFERS', () => null],
  ])(
    'names a file of which one part %s; its neighbours are whole',
    async (_, code, spoil) => {
      const { job, status, entries, named } = await run((path, first, into) =>
        path === 'large' && first === 12 * MIB ? spoil(first, into) : honest(path, first, into),
      );
      expect(status).toBe('warning');
      expect(named).toEqual([{ path: 'large', code, outcome: 'failed' }]);
      expect(entries.get('large')).toMatchObject({ state: 'failed', key: '' });
      for (const path of ['a', 'large.2', 'z'])
        expect((await read(job, entries.get(path) as Entry)).equals(files[path] as Buffer)).toBe(true);
    },
    60_000,
  );
});
