import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rcloneBulk, type BulkDestination } from '../../src/restore/rclone-bulk.ts';

const access = (bucket: string) => ({
  ...{ endpoint: 'http://127.0.0.1:9', region: 'us-east-1', bucket, provider: 'Other' },
  ...{ accessKey: 'access', secretKey: 'secret' },
});
const signal = new AbortController().signal;
const GIB = 1024 ** 3;

let folder: string;
let binary: { path: string; version: string };

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'e3-restore-memory-'));
  // In the place of rclone: notes how it was called.
  binary = { path: join(folder, 'rclone'), version: '1.75.2' };
  writeFileSync(binary.path, '#!/bin/sh\nprintf "%s\\n" "$@" > called\n');
  chmodSync(binary.path, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function* one(): AsyncGenerator<string> {
  yield 'name';
}

/** What the call of a restore to this place is told. */
async function told(to: BulkDestination, largest: number): Promise<string[]> {
  const workFolder = mkdtempSync(join(folder, 'work-'));
  const options = { binary, from: access('backup'), to, workFolder, transfers: 32, memoryMb: 400, bandwidth: 0 };
  const bulk = rcloneBulk(options);
  await bulk.copy({
    ...{ fromKey: 'P/run/files', toPath: '', names: one(), count: 1, bytes: largest, largest },
    ...{ existing: 'none', signal, onProgress: () => undefined },
  });
  await bulk.close();
  return readFileSync(join(workFolder, 'called'), 'utf8').split('\n');
}

const valueOf = (flags: readonly string[], name: string): string => flags[flags.indexOf(name) + 1] ?? '';

describe('the memory of a restore', () => {
  it('is shared by the uploads of its two calls, which take half of it', async () => {
    const flags = await told({ access: access('other'), prefix: 'x/' }, 1_000);
    expect(valueOf(flags, '--max-buffer-memory')).toBe('100Mi');
    expect(valueOf(flags, '--s3-upload-concurrency')).toBe('2');
  });

  it('always holds two parts of the largest file, so that no upload waits for ever', async () => {
    const flags = await told({ access: access('other'), prefix: 'x/' }, 1_000 * GIB);
    expect(Number.parseInt(valueOf(flags, '--max-buffer-memory'), 10)).toBeGreaterThanOrEqual(2 * 103);
    expect(valueOf(flags, '--s3-upload-concurrency')).toBe('1');
  });

  it('is nobody’s matter where files are written as they come', async () => {
    const target = join(folder, 'target');
    mkdirSync(target);
    expect(await told({ folder: target }, 1_000)).not.toContain('--max-buffer-memory');
  });
});
