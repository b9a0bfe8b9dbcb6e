import { describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import {
  compressChunk,
  cutChunks,
  endsChunk,
  isChunkBody,
  MAX_CHUNK_ENTRIES,
  readChunk,
  type Chunk,
} from '../../src/layout/chunks.ts';
import { entryLine, parseEntry } from '../../src/layout/entries.ts';
import { chunkKey } from '../../src/layout/keys.ts';
import { compareUtf8 } from '../../src/layout/order.ts';
import type { Entry } from '../../src/layout/types.ts';
import { CLAIM, collect, entryOf, RUN } from './samples.ts';

const refOf = (chunk: Chunk) => ({
  key: chunkKey(chunk.hash, RUN, CLAIM),
  first_path: chunk.firstPath,
  entries: chunk.entries,
});

const numbered = (count: number): Entry[] =>
  Array.from({ length: count }, (_, i) => entryOf(`f/${String(i).padStart(7, '0')}`));

describe('an entry', () => {
  it('is one line that reads back as itself', () => {
    const mtime = fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date('2199-01-01') })
      .map((d) => d.toISOString());
    fc.assert(
      fc.property(
        fc.nat(),
        mtime,
        fc.boolean(),
        fc.stringMatching(/^[a-z "\u00e9]{1,9}$/),
        (size, time, hashed, name) => {
          const entry = entryOf(name, { size, mtime: time, hash: hashed ? `md5:${'f'.repeat(32)}` : null });
          expect(entryLine(entry)).toBe(JSON.stringify(entry));
          expect(parseEntry(entryLine(entry))).toEqual(entry);
        },
      ),
    );
    const inArchive = { ...entryOf('a', { key: `run_${RUN}/${CLAIM}/archive.tar.zst` }), offset: 0, length: 9 };
    expect(parseEntry(entryLine(inArchive))).toEqual(inArchive);
    const failed = entryOf('a', { key: '', hash: null, state: 'failed' });
    expect(parseEntry(entryLine(failed))).toEqual(failed);
  });

  it.each<[string, Record<string, unknown>]>([
    ['a path that leaves the target', { path: '../a' }],
    ['an absolute path', { path: '/a' }],
    ['a path with a newline', { path: 'a\nb' }],
    ['a negative size', { size: -1 }],
    ['a local time', { mtime: '2026-01-02T03:04:05+01:00' }],
    ['a time that does not exist', { mtime: '2026-13-02T03:04:05Z' }],
    ['another hash', { hash: 'sha1:00' }],
    ['an object outside of the files', { key: 'manifests/x' }],
    ['an object of another prefix', { key: '../other/run_x' }],
    ['no object', { key: '' }],
    ['an object though it failed', { state: 'failed' }],
    ['an unknown state', { state: 'lost' }],
    ['an unknown field', { extra: 1 }],
    ['an offset without a length', { offset: 1 }],
  ])('is refused with %s', (_, change) => {
    expect(() => parseEntry(JSON.stringify({ ...entryOf('a'), ...change }))).toThrow('');
  });
});

describe('chunks', () => {
  it('end where the hash of a path says, and at 16,384 entries at the latest', async () => {
    const entries = numbered(40_000);
    const chunks = await collect(cutChunks(entries));
    let at = 0;
    for (const [i, chunk] of chunks.entries()) {
      at += chunk.entries;
      const last = (entries[at - 1] as Entry).path;
      const first12Bits = createHash('sha256').update(last).digest().readUInt16BE(0) >> 4;
      expect(chunk.entries === MAX_CHUNK_ENTRIES || first12Bits === 0 || i === chunks.length - 1).toBe(true);
      expect(endsChunk(last)).toBe(first12Bits === 0);
    }
    expect(at).toBe(entries.length);
    const long = numbered(120_000).filter((entry) => !endsChunk(entry.path));
    expect((await collect(cutChunks(long)))[0]?.entries).toBe(MAX_CHUNK_ENTRIES);
  });

  it('read back as the entries they were cut from', async () => {
    const entries = numbered(9_000);
    const chunks = await collect(cutChunks(entries));
    const read = chunks.flatMap((chunk) => readChunk(refOf(chunk), chunk.hash, compressChunk(chunk)));
    expect(read).toEqual(entries);
  });

  it('stay the same behind a change in one place', async () => {
    const before = numbered(60_000);
    const after = before.filter((_, i) => i !== 17).concat();
    after.push(entryOf('g/last'));
    const known = new Set((await collect(cutChunks(before))).map((chunk) => chunk.hash));
    const changed = (await collect(cutChunks(after))).filter((chunk) => !known.has(chunk.hash));
    expect(known.size).toBeGreaterThan(5);
    expect(changed.length).toBeLessThanOrEqual(3);
  });

  it('are none for no entries', async () => {
    expect(await collect(cutChunks([]))).toEqual([]);
  });

  it('are refused out of order, at writing and at reading', async () => {
    await expect(collect(cutChunks([entryOf('b'), entryOf('a')]))).rejects.toThrow('order');
    await expect(collect(cutChunks([entryOf('a'), entryOf('a')]))).rejects.toThrow('order');
    expect(compareUtf8('\ue000', '😀')).toBeLessThan(0);
    await expect(collect(cutChunks([entryOf('😀'), entryOf('\ue000')]))).rejects.toThrow('order');
  });

  it('are refused when they are not what name and manifest say', async () => {
    const [chunk] = await collect(cutChunks(numbered(3)));
    if (chunk === undefined) throw new Error('no chunk');
    const ref = refOf(chunk);
    const body = compressChunk(chunk);
    const foreign = zstdCompressSync(Buffer.from(`${entryLine(entryOf('zz'))}\n`));
    expect(() => readChunk(ref, chunk.hash, foreign)).toThrow('content');
    expect(() => readChunk(ref, chunk.hash, Buffer.from('nonsense'))).toThrow('decompressed');
    expect(() => readChunk({ ...ref, entries: 2 }, chunk.hash, body)).toThrow('manifest');
    expect(() => readChunk({ ...ref, first_path: 'a' }, chunk.hash, body)).toThrow('manifest');
    expect(isChunkBody(chunk.hash, body)).toBe(true);
    expect(isChunkBody(chunk.hash, foreign)).toBe(false);
    expect(isChunkBody(chunk.hash, body.subarray(0, -2))).toBe(false);
  });
});
