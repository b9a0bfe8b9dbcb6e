// Slow (about a minute): builds, packs and installs the whole package as a host would.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { packageRoot, packageVersion } from '../src/engines/tools.ts';
import { pins } from '../tools/place.js';

const folder = mkdtempSync(join(tmpdir(), 'e3-package-'));
const project = join(folder, 'host');
const installed = join(project, 'node_modules', 'e3-cloudbackup');
const manifest = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
  bin: Record<string, string>;
};
const executables = Object.keys(manifest.bin);
const drivesRclone = ['e3-cloudbackup-worker', 'e3-cloudbackup-restore'];
let packed: string[];

beforeAll(() => {
  const report = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder], packageRoot()).stdout) as {
    filename: string;
    files: { path: string }[];
  }[];
  const tarball = report[0];
  if (!tarball) throw new Error('npm packed nothing');
  packed = tarball.files.map((file) => file.path);
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'host', private: true, type: 'module' }));
  const install = ['install', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
  run('npm', [...install, join(folder, tarball.filename), 'express@5'], project);
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(program: string, args: readonly string[], cwd: string, environment: NodeJS.ProcessEnv = {}) {
  const ended = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '', ...environment },
  });
  if (ended.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${ended.stderr}`);
  return ended;
}

/** Runs an executable of the installed package as npm has linked it. */
function execute(name: string, args: readonly string[]) {
  return run(process.execPath, [realpathSync(join(project, 'node_modules', '.bin', name)), ...args], project);
}

describe('the packed tarball', () => {
  it('holds what runs, and neither sources nor tests', () => {
    expect(packed).toEqual(
      expect.arrayContaining([
        'public/app.css',
        'public/vendor/htmx.min.js',
        'public/vendor/alpine-csp.min.js',
        'tools/versions.json',
        'tools/go.mod',
        'tools/go.sum',
        'bin/launch.js',
        'dist/src/command-line.js',
      ]),
    );
    const strange = packed.filter((path) => /\.ts$/.test(path) && !path.endsWith('.d.ts'));
    expect(strange).toEqual([]);
    expect(packed.filter((path) => /^(test|bench|src|node_modules|\.)/.test(path))).toEqual([]);
  });

  it('has something to start behind each executable', () => {
    for (const target of Object.values(manifest.bin)) {
      expect(packed).toContain(target);
      if (!target.startsWith('tools/')) expect(packed).toContain(`dist/${target}`);
    }
  });
});

describe('the installed executables', () => {
  it.each(executables)('%s explains itself', (name) => {
    expect(execute(name, ['--help']).stdout).toMatch(/^Usage: \S+ /);
  });

  it.each(executables.filter((name) => name !== 'e3-cloudbackup-tools'))(
    '%s names its version and its tools’',
    (name) => {
      const { stdout } = execute(name, ['--version']);
      expect(stdout).toContain(`e3-cloudbackup ${packageVersion()} (`);
      expect(stdout).toContain(`node ${process.versions.node}\n`);
      if (drivesRclone.includes(name)) expect(stdout).toContain(`rclone ${pins.rclone.version} (not installed)\n`);
    },
  );

  it('say what to run when rclone is not there yet, and then it is', () => {
    const script = `
      import { toolPath } from ${JSON.stringify(join(installed, 'dist', 'src', 'engines', 'tools.js'))};
      try { console.log(toolPath('rclone')); } catch (error) { console.log(error.code, error.message); }`;
    const ask = () => run(process.execPath, ['--input-type=module', '--eval', script], project).stdout.trim();
    expect(ask()).toBe(
      `ERR_TOOL_MISSING rclone ${pins.rclone.version} is not installed. Run "npx e3-cloudbackup-tools rclone".`,
    );
    const path = execute('e3-cloudbackup-tools', ['rclone']).stdout.trim();
    expect(ask()).toBe(path);
    expect(run(path, ['version'], project).stdout).toContain(`rclone v${pins.rclone.version}\n`);
  });

  it('refuse a Node that is too old, before anything else is loaded', () => {
    const older = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.19.0'}})`;
    const ended = spawnSync(process.execPath, ['--import', older, join(installed, 'bin', 'worker.js')], {
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    expect([ended.status, ended.stderr]).toEqual([
      1,
      'bin/worker.js needs Node 22.15 or newer, and this is 20.19.0. Install Node 24 LTS, and start it with that one.\n',
    ]);
  });

  it('do not need the sources', () => {
    expect(existsSync(join(installed, 'src'))).toBe(false);
  });
});

describe.each(['knex', 'settings'])('mounted in a bare Express app, with the database given as %s', (kind) => {
  it('serves pages with their style sheet, answers the API, and ends when it is closed', async () => {
    copyFileSync(join(packageRoot(), 'test', 'fixtures', 'bare-host.js'), join(project, 'host.js'));
    const host = spawn(process.execPath, ['host.js', join(folder, `${kind}.sqlite`), kind], {
      cwd: project,
      env: { ...process.env, NODE_OPTIONS: '', NODE_ENV: 'production' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [port] = (await once(host.stdout, 'data')) as [Buffer];
      const base = `http://127.0.0.1:${port.toString().trim()}/backup`;
      const as = { headers: { 'x-client': '7' } };

      const page = await fetch(`${base}/`, as);
      const html = await page.text();
      expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
      const sheet = /href="([^"]*app\.css[^"]*)"/.exec(html)?.[1] ?? '';
      expect(sheet).toMatch(/^\/backup\/assets\//);
      const css = await fetch(new URL(sheet, base));
      expect([css.status, css.headers.get('content-type')]).toEqual([200, 'text/css; charset=utf-8']);

      const jobs = await fetch(`${base}/api/cloudbackup_list_jobs`, as);
      expect([jobs.status, await jobs.json()]).toEqual([200, expect.objectContaining({ status: 'success' })]);
      expect((await fetch(`${base}/api/cloudbackup_list_jobs`)).status).toBe(401);
    } finally {
      host.kill('SIGTERM');
    }
    expect(await once(host, 'close')).toEqual([0, null]);
  });
});
