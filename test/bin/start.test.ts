import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { packageRoot } from '../../src/engines/tools.ts';

const root = packageRoot();
const node = (script: string, ...args: string[]) =>
  spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } });

describe('start before anything is installed', () => {
  let checkout: string;
  beforeEach(() => {
    checkout = mkdtempSync(join(tmpdir(), 'e3-start-'));
    for (const path of ['bin/start.js', 'tools', 'package.json']) {
      cpSync(join(root, path), join(checkout, path), { recursive: true });
    }
  });
  afterEach(() => rmSync(checkout, { recursive: true, force: true }));

  it.each(['--help', '--version'])('answers %s as it does afterwards', (option) => {
    const before = node(join(checkout, 'bin', 'start.js'), option);
    const after = node(join(root, 'bin', 'start.ts'), option);
    expect([before.status, before.stdout.replace(' (not installed)', '')]).toEqual([0, after.stdout]);
  });

  it('says in one sentence that npm is missing', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(checkout, 'bin', 'start.js')], {
      encoding: 'utf8',
      env: { PATH: checkout },
    });
    expect([status, stdout, stderr.split('\n').at(-2)]).toEqual([
      1,
      '',
      'start: npm is missing. Install Node with npm, then run this again. [ERR_TOOL_MISSING]',
    ]);
  });
});

describe('start hands over', () => {
  let checkout: string;
  beforeEach(() => {
    // A checkout in which everything is in place already, with another main: it tells what it was given.
    checkout = mkdtempSync(join(tmpdir(), 'e3-start-'));
    for (const path of ['bin/start.js', 'tools', 'package.json', 'package-lock.json', 'views', 'public']) {
      cpSync(join(root, path), join(checkout, path), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'));
    mkdirSync(join(checkout, 'src'));
  });
  afterEach(() => rmSync(checkout, { recursive: true, force: true }));

  const startWith = (main: string, ...args: string[]) => {
    writeFileSync(join(checkout, 'bin', 'start.ts'), main);
    return spawn(process.execPath, [join(checkout, 'bin', 'start.js'), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
  };

  it('its arguments, its stdout and the exit code', async () => {
    const child = startWith(
      'console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 7;',
      '--once',
      '--json',
    );
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    expect([code, stdout]).toEqual([7, '["--once","--json"]\n']);
  });

  it('signals, and waits for the end that follows', async () => {
    const child = startWith(
      `process.on('SIGTERM', () => { console.log('stopping'); process.exit(5); }); console.log('up'); setInterval(() => {}, 1000);`,
    );
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      if (chunk.toString() === 'up\n') child.kill('SIGTERM');
    });
    const [code] = (await once(child, 'close')) as [number];
    expect([code, stdout]).toEqual([5, 'up\nstopping\n']);
  });

  it('its own death', async () => {
    const child = startWith(
      `process.once('disconnect', () => { console.log('orphaned'); process.exit(); }); console.log('up');`,
    );
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      if (chunk.toString() === 'up\n') child.kill('SIGKILL');
    });
    await once(child.stdout, 'close');
    expect(stdout).toBe('up\norphaned\n');
  });
});
