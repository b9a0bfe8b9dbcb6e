import { chunkKey, fileKey } from '../../src/layout/keys.ts';
import { macKeysOf, type MacKeys } from '../../src/layout/mac.ts';
import type { Entry, Manifest } from '../../src/layout/types.ts';

export const RUN = '0190aaaa-0000-7000-8000-000000000001';
export const OTHER_RUN = '0190aaaa-0000-7000-8000-000000000002';
export const JOB = '0190bbbb-0000-7000-8000-000000000003';
export const CLAIM = 'c3-00ff00ff';
export const KEYS: MacKeys = macKeysOf([{ keyId: '0123abcd', secret: 'a secret of the tests' }]);

export function entryOf(path: string, more: Partial<Entry> = {}): Entry {
  return {
    path,
    size: 3,
    mtime: '2026-01-02T03:04:05Z',
    hash: `md5:${'0'.repeat(32)}`,
    key: fileKey(RUN, CLAIM, path),
    state: 'stored',
    ...more,
  };
}

export function manifestOf(more: Partial<Omit<Manifest, 'key_id' | 'mac'>> = {}): Omit<Manifest, 'key_id' | 'mac'> {
  return {
    format: 1,
    job: JOB,
    run: RUN,
    claim: CLAIM,
    generation: 7,
    parent: null,
    created_at: '2026-01-02T03:04:05.678Z',
    source_type: 'sftp',
    complete: true,
    frozen: false,
    files: 2,
    bytes: 6,
    stored: 2,
    carried: 0,
    failed: 0,
    chunks: [{ key: chunkKey('b'.repeat(64), RUN, CLAIM), first_path: 'a', entries: 2 }],
    ...more,
  };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export async function* streamOf<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}
