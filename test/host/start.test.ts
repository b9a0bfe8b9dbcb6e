// Slow (about a minute): starts the whole demo several times, as processes, with real servers, a worker and a real backup.
import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { packageRoot } from '../../src/engines/tools.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'e3-start-'));
const started: ChildProcess[] = [];
afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  }
  await nothingLeft(dataDir);
});
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
  stdout(): string;
  stderr(): string;
}

function start(...args: string[]): Started {
  const child = spawn(process.execPath, [join(packageRoot(), 'bin', 'start.ts'), ...args], {
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (bytes) => (said.stdout += String(bytes)));
  child.stderr.on('data', (bytes) => (said.stderr += String(bytes)));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...said }));
  return { child, ended, stdout: () => said.stdout, stderr: () => said.stderr };
}

async function until<T>(look: () => T | null | Promise<T | null>, limitMs = 60_000): Promise<T> {
  for (const end = Date.now() + limitMs; Date.now() < end; await delay(50)) {
    const found = await look();
    if (found !== null) return found;
  }
  throw new Error('waited in vain');
}

/** Every process of a demo has its data folder in its command line: servers, worker, transfers, and their leashes. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const line = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return line.includes(folder) ? [line] : [];
    } catch {
      return [];
    }
  });
}

async function nothingLeft(folder: string): Promise<void> {
  await until(() => (processesOf(folder).length === 0 ? true : null), 20_000).catch(() => {
    throw new Error(`still running: ${processesOf(folder).join('\n')}`);
  });
}

const told = (stdout: string, pattern: RegExp): string | null => pattern.exec(stdout)?.[1] ?? null;

describe('npm start', () => {
  it('backs up and restores once, and says so in one line of JSON', async () => {
    const { code, stdout, stderr } = await start('--once', '--json', '--port', '0', '--data-dir', dataDir).ended;
    expect([code, stderr.split('\n').slice(-4)]).toEqual([0, expect.anything()]);
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    expect(JSON.parse(stdout)).toEqual({
      portal: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/backup$/) as unknown,
      run_id: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
      status: 'success',
      files: 340,
      bytes: expect.any(Number) as unknown,
      seconds: expect.any(Number) as unknown,
      restored: true,
    });
    expect(stderr).toContain('every file is equal to its source');
    for (const file of ['secrets.json', 'worker.yaml', 'sftp-host-key']) {
      expect(statSync(join(dataDir, file)).mode & 0o077).toBe(0);
    }
    expect(processesOf(dataDir)).toEqual([]);
  }, 180_000);

  it('goes on with the same data, lets the customer in, and ends all at Ctrl-C', async () => {
    const began = performance.now();
    const demo = start('--port', '0', '--data-dir', dataDir);
    const address = await until(() => told(demo.stdout(), /Customer +(http:\S+)/));
    expect(performance.now() - began).toBeLessThan(10_000);
    const password = told(demo.stdout(), /ada@example\.test +password +(\S+)/) ?? '';
    const cookie = await signIn(new URL(address).origin, 'ada@example.test', password);
    const jobs = await (await fetch(`${address}/jobs`, { headers: { cookie } })).text();
    expect(jobs).toContain('Online shop');
    expect(jobs).toContain('Office file server');
    demo.child.kill('SIGINT');
    expect((await demo.ended).code).toBe(0);
    expect(processesOf(dataDir)).toEqual([]);
  }, 120_000);

  it('that was stopped in the middle of its first backup goes on with it the next time', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'e3-start-'));
    const demo = start('--port', '0', '--data-dir', folder);
    await until(() => (demo.stderr().includes('Backup: started') ? true : null));
    demo.child.kill('SIGINT');
    expect((await demo.ended).code).toBe(0);
    expect(processesOf(folder)).toEqual([]);
    const { code, stdout } = await start('--once', '--json', '--port', '0', '--data-dir', folder).ended;
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ status: 'success', restored: true })]);
    rmSync(folder, { recursive: true, force: true });
  }, 180_000);

  it('leaves nothing behind when it is killed, and lets nobody else use its folder before', async () => {
    const demo = start('--port', '0', '--data-dir', dataDir);
    await until(() => told(demo.stdout(), /Customer +(http:\S+)/));
    const second = await start('--port', '0', '--data-dir', dataDir).ended;
    expect([second.code, second.stderr]).toEqual([1, expect.stringContaining('[ERR_DATA_DIR_LOCKED]')]);
    demo.child.kill('SIGKILL');
    await demo.ended;
    await nothingLeft(dataDir);
  }, 120_000);
});

describe('npm start says in one sentence what is wrong', () => {
  it('when the port is taken, before anything is started', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { code, stderr } = await start('--port', String(port), '--data-dir', dataDir).ended;
    server.close();
    expect(code).toBe(1);
    expect(stderr).toBe(
      `start: Port ${port} is in use by another program. Choose another one with --port. [ERR_PORT_IN_USE]\n`,
    );
  });

  it('when the data folder cannot be written', async () => {
    const { code, stderr } = await start('--port', '0', '--data-dir', '/proc/nowhere').ended;
    expect([code, stderr.split('\n').length]).toEqual([1, 2]);
    expect(stderr).toMatch(/^start: \/proc\/nowhere cannot be written\..* \[ERR_DATA_DIR\]\n$/);
  });

  it.each([
    [['--port', 'eighty'], '--port must be a number'],
    [['--port', '70000'], '--port must be a number'],
    [['--json'], '--json needs --once'],
    [['--datadir', 'x'], "'--datadir'"],
  ])('when it is called with %j', async (args, sentence) => {
    const { code, stderr } = await start(...args).ended;
    expect([code, stderr]).toEqual([2, expect.stringContaining(sentence)]);
  });
});

async function signIn(portal: string, user: string, password: string): Promise<string> {
  const response = await fetch(`${portal}/sign-in`, {
    method: 'POST',
    body: new URLSearchParams({ user, password }),
    redirect: 'manual',
  });
  expect(response.status).toBe(303);
  return response.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');
}
