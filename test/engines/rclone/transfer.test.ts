import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { EngineProcess, TransferProgress } from '../../../src/engines/port.ts';
import { bucketRemote, sourceRemote } from '../../../src/engines/rclone/remotes.ts';
import { startTransfer } from '../../../src/engines/rclone/transfer.ts';
import { recordOf } from '../../../src/engines/process-record.ts';
import { storageSide } from '../../../src/engines/rclone/error-classes.ts';
import { BackupError } from '../../../src/errors/backup-error.ts';
import { s3Side } from '../../../src/sources/s3.ts';
import { openS3Store } from '../../../src/storage/s3.ts';
import { startFaultProxy, type FaultProxy, type ProxyFault } from '../../servers/fault-proxy.ts';
import { startRcloneS3 } from '../../servers/rclone-serve.ts';
import { BINARY, copyTo, finished, keysBelow, listAll, openEngine, s3Source, type TestEngine } from './engine.ts';

const MEBIBYTE = 1024 * 1024;
const never = new AbortController().signal;

let base: string;
let s3: Awaited<ReturnType<typeof startRcloneS3>>;
const engines: TestEngine[] = [];
const proxies: FaultProxy[] = [];

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'e3-transfer-'));
  for (const folder of ['backups', 'large', 'small']) mkdirSync(join(base, folder));
  for (let i = 0; i < 4; i += 1) writeFileSync(join(base, 'large', `file${i}`), Buffer.alloc(8 * MEBIBYTE, i));
  for (let i = 0; i < 400; i += 1) writeFileSync(join(base, 'small', `f${i}`), `content ${i}`);
  s3 = await startRcloneS3({ folder: base });
});

afterEach(async () => {
  for (const engine of engines.splice(0)) engine.remove();
  for (const proxy of proxies.splice(0)) await proxy.stop();
});

afterAll(async () => {
  await s3.stop();
  rmSync(base, { recursive: true, force: true });
});

function engineOn(
  bucket: string,
  options: { bandwidth?: number; endpoint?: string; secretKey?: string; bucket?: string } = {},
): TestEngine {
  const { bandwidth = 0, ...change } = options;
  const engine = openEngine(s3Source(s3.access(bucket)), { ...s3.access('backups'), ...change }, { bandwidth });
  engines.push(engine);
  return engine;
}

async function spoiled(plan: (request: { method: string; path: string }, before: number) => ProxyFault | undefined) {
  const proxy = await startFaultProxy(s3.endpoint, plan, s3.access('backups'));
  proxies.push(proxy);
  return proxy;
}

/** The first progress that fulfils the condition. */
async function until(
  transfer: EngineProcess,
  condition: (progress: TransferProgress) => boolean,
): Promise<TransferProgress> {
  for await (const event of transfer.events) {
    if (event.type === 'progress' && condition(event.progress)) return event.progress;
  }
  throw new Error(`the transfer ended before: ${JSON.stringify(await transfer.done)}`);
}

/** The kernel kills the whole group at once, but who ends first is its own affair. */
async function gone(pid: number): Promise<void> {
  for (const end = Date.now() + 5_000; recordOf(pid) !== null; await delay(10)) {
    if (Date.now() > end) throw new Error(`process ${pid} is still there`);
  }
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

/** Null: it ended meanwhile. */
function programOf(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] ?? null;
  } catch {
    return null;
  }
}

/** The number of the rclone process that an engine runs now, by the leash that it hangs on. */
async function pidOfRclone(engine: TestEngine): Promise<number> {
  for (const end = Date.now() + 10_000; Date.now() < end; await delay(20)) {
    const name = readdirSync(engine.folder).find((entry) => entry.startsWith('child-'));
    if (name === undefined) continue;
    const { pid } = JSON.parse(readFileSync(join(engine.folder, name), 'utf8')) as { pid: number };
    const rclone = childrenOf(pid).find((child) => programOf(child) === BINARY.path);
    if (rclone !== undefined) return rclone;
  }
  throw new Error('rclone did not start');
}

describe('a transfer', () => {
  it('obeys its bandwidth limit from the first byte, and another one at once', async () => {
    const engine = engineOn('large', { bandwidth: MEBIBYTE });
    const started = performance.now();
    const transfer = engine.copy({ paths: 'all', targetKey: 'limited', signal: never });
    const seen = await until(transfer, ({ bytes }) => bytes > 0 && performance.now() - started > 3_000);
    // A second's worth may be taken in advance.
    expect(seen.bytes).toBeLessThan(8 * MEBIBYTE);
    await transfer.setBandwidth(0);
    const lifted = performance.now();
    expect(await finished(transfer)).toMatchObject({ fatal: null, exitCode: 0, stopped: false });
    // 24 MiB and more were left: at the old limit, half a minute.
    expect(performance.now() - lifted).toBeLessThan(15_000);
    expect(await keysBelow(openS3Store(s3.access('backups')), 'limited/')).toHaveLength(4);
  });

  it('takes a limit that was set before it had begun', async () => {
    const engine = engineOn('large');
    const transfer = engine.copy({ paths: 'all', targetKey: 'early', signal: never });
    await transfer.setBandwidth(MEBIBYTE);
    const started = performance.now();
    const seen = await until(transfer, () => performance.now() - started > 3_000);
    expect(seen.bytes).toBeLessThan(32 * MEBIBYTE);
    await transfer.stop();
    expect((await transfer.done).stopped).toBe(true);
  });

  it('stops when it is asked to, and leaves no process and no file of its own behind', async () => {
    const engine = engineOn('large', { bandwidth: MEBIBYTE });
    const transfer = engine.copy({ paths: 'all', targetKey: 'stopped', signal: never });
    await until(transfer, ({ bytes }) => bytes > 0);
    const pid = await pidOfRclone(engine);
    await transfer.stop({ graceMs: 5_000 });
    expect(await finished(transfer)).toMatchObject({ fatal: null, stopped: true });
    await gone(pid);
    expect(readdirSync(engine.folder)).toEqual([]);
  });

  it('is killed at once when the lease is lost', async () => {
    const engine = engineOn('large', { bandwidth: MEBIBYTE });
    const abort = new AbortController();
    const transfer = engine.copy({ paths: 'all', targetKey: 'lost', signal: abort.signal });
    await until(transfer, ({ bytes }) => bytes > 0);
    const pid = await pidOfRclone(engine);
    abort.abort(new BackupError('ERR_LEASE_LOST'));
    expect(await finished(transfer)).toMatchObject({ fatal: null, stopped: true });
    await gone(pid);
  });

  it('does not begin when it is over before', async () => {
    const engine = engineOn('large');
    const outcome = await finished(
      engine.copy({ paths: 'all', targetKey: 'never', signal: AbortSignal.abort(new BackupError('ERR_CANCELLED')) }),
    );
    expect(outcome).toMatchObject({ fatal: null, stopped: true });
    expect(await keysBelow(openS3Store(s3.access('backups')), 'never/')).toEqual([]);
  });

  it('knows when somebody else has killed it', async () => {
    const engine = engineOn('large', { bandwidth: MEBIBYTE });
    const transfer = engine.copy({ paths: 'all', targetKey: 'killed', signal: never });
    await until(transfer, ({ bytes }) => bytes > 0);
    process.kill(await pidOfRclone(engine), 'SIGKILL');
    expect(await finished(transfer)).toMatchObject({ fatal: { code: 'ERR_RCLONE_KILLED' }, stopped: false });
  });

  it('shows no secret to those who can list processes', async () => {
    const engine = engineOn('large', { bandwidth: MEBIBYTE });
    const transfer = engine.copy({ paths: ['file0'], targetKey: 'secret', signal: never });
    const pid = await pidOfRclone(engine);
    const shown = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    expect(shown).toContain('copy');
    const { accessKey, secretKey } = s3.access('backups');
    for (const secret of [accessKey, secretKey]) expect(shown).not.toContain(secret);
    expect(shown).not.toMatch(/rc-(?:user|pass)/);
    await transfer.stop();
  });
});

describe('a transfer that goes wrong', () => {
  it.each([
    ['the destination refuses the keys', { secretKey: 'wrong-wrong-wrong' }, 'ERR_DEST_AUTH'],
    ['the destination bucket is gone', { bucket: 'missing' }, 'ERR_DEST_BUCKET_NOT_FOUND'],
  ] as const)('fails as a whole when %s, before every file was tried', async (_name, change, code) => {
    const proxy = await spoiled(() => undefined);
    const { endpoint } = proxy;
    const access = { ...s3.access('backups'), ...change, endpoint };
    const engine = openEngine(s3Source(s3.access('small')), access);
    engines.push(engine);
    const paths = [...(await listAll(engine)).files.keys()];
    const outcome = await copyTo(engine, paths, 'refused');
    expect(outcome).toMatchObject({ fatal: { code }, stopped: false });
  });

  it('is ended when nothing moves any more', async () => {
    const proxy = await spoiled(({ method }) => (method === 'PUT' ? 'hang' : undefined));
    const engine = engineOn('small');
    const transfer = startTransfer({
      binary: BINARY,
      args: ['copy', 'SRC:small/', 'DST:backups/stalled/', '--no-check-dest'],
      remotes: [
        sourceRemote('SRC', s3Source(s3.access('small'))),
        bucketRemote('DST', { ...s3.access('backups'), endpoint: proxy.endpoint }),
      ],
      sides: { SRC: s3Side, DST: storageSide },
      folder: engine.folder,
      signal: never,
      statsSeconds: 1,
      bandwidth: 0,
      stallMs: 3_000,
    });
    expect(await finished(transfer)).toMatchObject({ fatal: { code: 'ERR_NETWORK' }, stopped: false });
  });

  it('names the files that failed, and copies the others', async () => {
    const proxy = await spoiled(({ method, path }) =>
      method === 'PUT' && path.includes('/f7?')
        ? { status: 403, body: '<Error><Code>QuotaExceeded</Code></Error>' }
        : undefined,
    );
    const engine = engineOn('small', { endpoint: proxy.endpoint });
    const outcome = await copyTo(engine, ['f6', 'f7', 'f8'], 'partly');
    expect(outcome.fatal).toBeNull();
    expect([...outcome.failed].map(([path, { code }]) => [path, code])).toEqual([['f7', 'ERR_QUOTA']]);
    expect(await keysBelow(openS3Store(s3.access('backups')), 'partly/')).toEqual(['f6', 'f8']);
  });

  it('tries files once more that failed for a passing reason', async () => {
    let refused = 0;
    const proxy = await spoiled(({ method, path }) => {
      if (method !== 'PUT' || !path.includes('/f3?') || refused > 0) return undefined;
      refused += 1;
      return { status: 400, body: '<Error><Code>StrangeMoment</Code></Error>' };
    });
    const engine = engineOn('small', { endpoint: proxy.endpoint });
    const transfer = engine.copy({ paths: ['f2', 'f3'], targetKey: 'again', signal: never });
    const failed: string[] = [];
    for await (const event of transfer.events) if (event.type === 'file_failed') failed.push(event.path);
    expect(await transfer.done).toMatchObject({ fatal: null, failed: new Map() });
    expect(failed).toEqual([]);
    expect(refused).toBe(1);
    expect(await keysBelow(openS3Store(s3.access('backups')), 'again/')).toEqual(['f2', 'f3']);
  });

  it('says that the program could not be started', async () => {
    const engine = openEngine(s3Source(s3.access('small')), s3.access('backups'), {
      binary: { path: join(base, 'no-rclone'), version: '0' },
    });
    engines.push(engine);
    expect((await copyTo(engine, 'all', 'x')).fatal?.code).toBe('ERR_RCLONE_START');
  });
});
