import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';

it('says that the disk is full, whatever a run was writing to it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'e3-full-disk-'));
  const script = fileURLToPath(new URL('./full-disk.process.ts', import.meta.url));
  try {
    const small = ['--dev-bind', '/', '/', '--size', '262144', '--tmpfs', folder];
    const told = execFileSync('bwrap', [...small, process.execPath, script, folder], {
      env: { ...process.env, NODE_OPTIONS: '' },
      encoding: 'utf8',
    });
    expect(JSON.parse(told)).toEqual(['ERR_DISK_FULL', 'ERR_DISK_FULL', 'ERR_DISK_FULL']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
