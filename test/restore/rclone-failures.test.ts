import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toolPath, toolVersions } from '../../src/engines/tools.ts';
import { RcloneDaemon } from '../../src/engines/rclone/daemon.ts';
import { bucketRemote } from '../../src/engines/rclone/remotes.ts';
import { BackupError } from '../../src/errors/backup-error.ts';
import type { SingleCopy } from '../../src/restore/port.ts';
import { rcloneBulk, type BulkDestination } from '../../src/restore/rclone-bulk.ts';
import { streamOf } from '../layout/samples.ts';
import { startFaultProxy, type FaultProxy } from '../servers/fault-proxy.ts';
import { startRcloneS3 } from '../servers/rclone-serve.ts';

const BINARY = { path: toolPath('rclone'), version: toolVersions(['rclone'])[0]?.version ?? '' };

let server: Awaited<ReturnType<typeof startRcloneS3>>;
let base: string;
const proxies: FaultProxy[] = [];

beforeAll(async () => {
  server = await startRcloneS3();
  base = mkdtempSync(join(tmpdir(), 'e3-bulk-failures-'));
  for (const bucket of ['backup', 'target']) mkdirSync(join(server.folder, bucket));
  for (let i = 0; i < 300; i += 1) {
    mkdirSync(join(server.folder, `backup/f/${i % 7}`), { recursive: true });
    writeFileSync(join(server.folder, `backup/f/${i % 7}/${i}`), `content ${i}`);
  }
});
afterAll(async () => {
  for (const proxy of proxies) await proxy.stop();
  await server.stop();
  rmSync(base, { recursive: true, force: true });
});

const items = (count: number): SingleCopy[] =>
  Array.from({ length: count }, (_, i) => ({ fromKey: `f/${i % 7}/${i}`, toPath: `moved/${i}`, size: 10 }));

function bulkTo(to: BulkDestination) {
  const workFolder = mkdtempSync(join(base, 'work-'));
  return rcloneBulk({ binary: BINARY, from: server.access('backup'), to, workFolder, transfers: 8, bandwidth: 0 });
}

async function copyAll(
  to: BulkDestination,
  copies: readonly SingleCopy[],
  change: { signal?: AbortSignal; existing?: 'none' | 'keep' | 'replace' } = {},
) {
  const bulk = bulkTo(to);
  const signal = new AbortController().signal;
  try {
    return await bulk.copySome({
      items: streamOf([...copies]),
      largest: Math.max(0, ...copies.map(({ size }) => size)),
      existing: 'none',
      signal,
      onProgress: () => undefined,
      ...change,
    });
  } finally {
    await bulk.close();
  }
}

describe('many single copies by one program', () => {
  it('bring each object to its new name, and say of each that is missing that it is', async () => {
    const folder = join(base, 'local');
    mkdirSync(folder);
    const missing = { fromKey: 'f/no such object', toPath: 'moved/missing', size: 3 };
    const failed = await copyAll({ folder }, [...items(299), missing]);
    expect([...failed]).toEqual([['moved/missing', 'ERR_OBJECT_MISSING']]);
    expect(readdirSync(join(folder, 'moved'))).toHaveLength(299);
    expect(readFileSync(join(folder, 'moved/123'), 'utf8')).toBe('content 123');
  });

  it('leave what has appeared meanwhile, when they are told so', async () => {
    const folder = join(base, 'appeared');
    mkdirSync(join(folder, 'moved'), { recursive: true });
    writeFileSync(join(folder, 'moved/1'), 'appeared');
    expect((await copyAll({ folder }, items(3), { existing: 'keep' })).size).toBe(0);
    expect(readFileSync(join(folder, 'moved/1'), 'utf8')).toBe('appeared');
    expect((await copyAll({ folder }, items(3), { existing: 'replace' })).size).toBe(0);
    expect(readFileSync(join(folder, 'moved/1'), 'utf8')).toBe('content 1');
  });

  it('give up at a bucket that is full, with the code that says so', async () => {
    const full = await startFaultProxy(server.endpoint, ({ method }) =>
      method === 'PUT'
        ? { status: 403, body: '<?xml version="1.0"?><Error><Code>QuotaExceeded</Code><Message>full</Message></Error>' }
        : undefined,
    );
    proxies.push(full);
    const access = { ...server.access('target'), endpoint: full.endpoint };
    await expect(copyAll({ access, prefix: 'restored/' }, items(300))).rejects.toMatchObject({ code: 'ERR_QUOTA' });
    const few = await copyAll({ access, prefix: 'restored/' }, items(5));
    expect([...new Set(few.values())]).toEqual(['ERR_QUOTA']);
    expect(few.size).toBe(5);
  });

  it('end with the reason of the one who stopped them', async () => {
    const stop = new AbortController();
    const hanging = await startFaultProxy(server.endpoint, ({ method }) => {
      if (method !== 'PUT') return undefined;
      stop.abort(new BackupError('ERR_CANCELLED'));
      return 'hang';
    });
    proxies.push(hanging);
    const access = { ...server.access('target'), endpoint: hanging.endpoint };
    const stopped = copyAll({ access, prefix: 'stopped/' }, items(40), { signal: stop.signal });
    await expect(stopped).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  });
});

describe('a program that waits for calls', () => {
  const options = (signal: AbortSignal) => ({
    binary: BINARY,
    flags: [] as string[],
    remotes: [bucketRemote('SRC', server.access('backup'))],
    folder: mkdtempSync(join(base, 'daemon-')),
    signal,
  });

  it('answers only who knows its password, and says when it was killed', async () => {
    const daemon = new RcloneDaemon(options(new AbortController().signal));
    expect(await daemon.call('rc/noop', { a: 1 })).toEqual({ a: 1 });
    await expect(daemon.call('no/such', {})).rejects.toMatchObject({ code: 'ERR_TRANSFER' });
    await daemon.stop();
    await expect(daemon.call('rc/noop', {})).rejects.toMatchObject({ code: 'ERR_RCLONE_KILLED' });
  });

  it('says that it cannot be started', async () => {
    const daemon = new RcloneDaemon({ ...options(new AbortController().signal), flags: ['--no-such-flag'] });
    await expect(daemon.call('rc/noop', {})).rejects.toMatchObject({ code: 'ERR_RCLONE_START' });
  });
});
