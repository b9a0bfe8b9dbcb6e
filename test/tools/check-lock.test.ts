import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { packageRoot } from '../../src/engines/tools.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'e3-lock-'));
  for (const path of ['tools', 'package.json', 'package-lock.json', '.npmrc']) {
    cpSync(join(packageRoot(), path), join(folder, path), { recursive: true });
  }
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const check = () => spawnSync(process.execPath, [join(folder, 'tools', 'check-lock.js')], { encoding: 'utf8' });

describe('the check of the lock file', () => {
  it('is content with this lock', () => {
    expect(check()).toMatchObject({ status: 0, stderr: '' });
  });

  it('names every package that comes from an address', () => {
    const lock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, object>;
    };
    lock.packages['node_modules/express'] = { resolved: 'https://registry.example/express.tgz' };
    lock.packages['node_modules/knex'] = { version: 'git+ssh://git@example.org/knex.git' };
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock));
    const { status, stderr } = check();
    expect(status).toBe(1);
    expect(stderr).toContain('packages > node_modules/express > resolved');
    expect(stderr).toContain('packages > node_modules/knex > version');
    expect(stderr).not.toContain('registry.example');
  });

  it('wants the setting that keeps addresses out', () => {
    writeFileSync(join(folder, '.npmrc'), 'fund=false\n');
    expect(check()).toMatchObject({ status: 1, stderr: expect.stringContaining('omit-lockfile-registry-resolved') });
  });
});
