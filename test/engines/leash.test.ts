import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { endLeftChildren, startChild, type SupervisedChild } from '../../src/engines/child.ts';
import { missingForLeash } from '../../src/engines/leash.ts';
import { isStillRunning, recordOf } from '../../src/engines/process-record.ts';

const SUPERVISOR = fileURLToPath(new URL('./supervisor.process.ts', import.meta.url));

let folder: string;
const started: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'e3-leash-'));
});

afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function start(script: string, options: { silenceMs?: number; signal?: AbortSignal } = {}): SupervisedChild {
  return startChild({
    program: 'bash',
    args: ['-c', script],
    env: { GIVEN: 'yes' },
    folder,
    silenceMs: options.silenceMs ?? 10_000,
    ...(options.signal ? { signal: options.signal } : {}),
  });
}

async function startSupervisor(
  silenceMs: number,
): Promise<{ process: ChildProcess; lines: Interface; child: number; leash: number }> {
  const supervisor = spawn(process.execPath, [SUPERVISOR, folder, String(silenceMs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.push(supervisor);
  const lines = createInterface(supervisor.stdout);
  const first = await lines[Symbol.asyncIterator]().next();
  const { child, leash } = JSON.parse(String(first.value)) as { child: number; leash: number };
  expect(recordOf(child)).not.toBeNull();
  return { process: supervisor, lines, child, leash };
}

async function gone(pid: number, limitMs: number): Promise<boolean> {
  for (const end = Date.now() + limitMs; Date.now() < end; await delay(5)) if (recordOf(pid) === null) return true;
  return false;
}

describe('a child on its leash', () => {
  it('dies when its supervisor is killed', async () => {
    const { process: supervisor, child } = await startSupervisor(60_000);
    supervisor.kill('SIGKILL');
    expect(await gone(child, 3_000)).toBe(true);
  });

  it('dies when its supervisor is stopped and so falls silent, which the supervisor learns when it goes on', async () => {
    const { process: supervisor, lines, child } = await startSupervisor(1_000);
    supervisor.kill('SIGSTOP');
    expect(await gone(child, 8_000)).toBe(true);
    supervisor.kill('SIGCONT');
    const end = await new Promise<string>((resolve) => lines.once('line', resolve));
    expect(JSON.parse(end)).toEqual({ exitCode: null, reason: 'leash' });
  });

  it('lives on while its supervisor only works hard', async () => {
    const { process: supervisor, child } = await startSupervisor(1_000);
    for (let i = 0; i < 3; i += 1) {
      supervisor.kill('SIGSTOP');
      await delay(200);
      supervisor.kill('SIGCONT');
      await delay(400);
    }
    expect(recordOf(child)).not.toBeNull();
  });

  it('dies when the leash is killed', async () => {
    const { child, leash } = await startSupervisor(60_000);
    process.kill(leash, 'SIGKILL');
    expect(await gone(child, 3_000)).toBe(true);
  });

  it('is found and ended by the next supervisor when it was left running', async () => {
    // A supervisor that cannot be killed is simulated by one that is stopped and has much patience.
    const { process: supervisor, child } = await startSupervisor(600_000);
    supervisor.kill('SIGSTOP');
    await endLeftChildren(folder);
    expect(recordOf(child)).toBeNull();
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('startChild', () => {
  it('tells the exit code of the program, and passes its output on', async () => {
    const child = start('echo out; echo err >&2; exit 7');
    const [out, err, end] = await Promise.all([text(child.stdout), text(child.stderr), child.ended]);
    expect([out, err, end]).toEqual(['out\n', 'err\n', { exitCode: 7, reason: 'exit' }]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('gives a program that ends at once its end at once', async () => {
    const before = performance.now();
    for (let i = 0; i < 20; i += 1) expect(await start('true').ended).toEqual({ exitCode: 0, reason: 'exit' });
    expect((performance.now() - before) / 20).toBeLessThan(1_000);
  });

  it('passes a wish to stop on to the program', async () => {
    const child = start("trap 'echo stopping; exit 9' TERM; echo ready; while :; do sleep 0.05; done");
    child.stdout.once('data', () => child.terminate());
    expect(await child.ended).toEqual({ exitCode: 9, reason: 'stopped' });
  });

  it('kills the whole group when its signal aborts', async () => {
    const abort = new AbortController();
    const child = start('echo $$; exec sleep 600', { signal: abort.signal });
    const pid = Number(await new Promise<Buffer>((resolve) => child.stdout.once('data', resolve)));
    abort.abort();
    expect((await child.ended).reason).toBe('stopped');
    expect(await gone(pid, 2_000)).toBe(true);
    expect(() => start('true', { signal: abort.signal })).toThrow();
  });

  it('tells a program that somebody else killed from one that was stopped', async () => {
    const child = start('kill -KILL $$');
    expect(await child.ended).toEqual({ exitCode: 137, reason: 'signal' });
    const other = start('exec sleep 600');
    process.kill(other.record?.pid ?? 0, 'SIGKILL');
    expect((await other.ended).reason).toBe('signal');
  });

  it('says that a program which is not there could not be started', async () => {
    const child = startChild({ program: '/nowhere/rclone', args: [], env: {}, folder, silenceMs: 5_000 });
    expect(await child.ended).toEqual({ exitCode: null, reason: 'start' });
  });

  it('gives the program none of our environment but what is harmless', async () => {
    process.env['RCLONE_CONFIG_X_TYPE'] = 'local';
    process.env['AWS_SECRET_ACCESS_KEY'] = 'mine';
    try {
      const environment = await text(start('env').stdout);
      expect(environment).toContain('GIVEN=yes\n');
      expect(environment).toContain(`HOME=${folder}\n`);
      expect(environment).not.toMatch(/RCLONE_|AWS_|NODE_OPTIONS/);
    } finally {
      delete process.env['RCLONE_CONFIG_X_TYPE'];
      delete process.env['AWS_SECRET_ACCESS_KEY'];
    }
  });

  it('does not take another process with the same number for a child that was left', () => {
    const own = recordOf(process.pid);
    expect(own).not.toBeNull();
    expect(isStillRunning({ pid: process.pid, startedAtTicks: '1' })).toBe(false);
    expect(isStillRunning(own ?? { pid: 0, startedAtTicks: '' })).toBe(true);
  });
});

describe('a machine without the programs of a leash', () => {
  it('is told apart by name', () => {
    expect(missingForLeash('/nowhere')).toEqual(['setpriv', 'bash']);
    expect(missingForLeash()).toEqual([]);
  });
});
