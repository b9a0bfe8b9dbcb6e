import { afterEach, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { asDataFolderError, openDataFolder, requireSpace, type DataFolder } from '../../src/host/demo/data-folder.ts';
import { loadSecrets } from '../../src/host/demo/secrets.ts';

const temporary: string[] = [];
const open: DataFolder[] = [];
afterEach(async () => {
  for (const folder of open.splice(0)) await folder.release();
  for (const path of temporary.splice(0)) rmSync(path, { recursive: true, force: true });
});

function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'e3-data-'));
  temporary.push(path);
  return path;
}

async function opened(path: string): Promise<DataFolder> {
  const folder = await openDataFolder(path);
  open.push(folder);
  return folder;
}

describe('the data folder', () => {
  it('is held by one process: a second one is told which process has it', async () => {
    const path = join(temporaryFolder(), 'new', 'data');
    await opened(path);
    const script = `
      import { openDataFolder } from '${join(import.meta.dirname, '../../src/host/demo/data-folder.ts')}';
      await openDataFolder(process.argv[1]).catch((error) => console.log(error.code, error.message));
      process.exit(0);`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, path]);
    expect(stdout).toContain('ERR_DATA_DIR_LOCKED');
    expect(stdout).toContain(`process ${process.pid}`);
  });

  it('is free again when its holder has ended, however it ended', async () => {
    const path = temporaryFolder();
    const script = `
      import { openDataFolder } from '${join(import.meta.dirname, '../../src/host/demo/data-folder.ts')}';
      await openDataFolder(process.argv[1]);
      process.kill(process.pid, 'SIGKILL');`;
    const ended = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, path]);
    await expect(ended).rejects.toMatchObject({ signal: 'SIGKILL' });
    const again = await opened(path);
    expect(again.root).toBe(path);
  });

  it('that cannot be written is named in one sentence', async () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    for (const path of [file, join(file, 'below'), '/proc/nowhere']) {
      await expect(openDataFolder(path)).rejects.toMatchObject({
        code: 'ERR_DATA_DIR',
        message: `${path} cannot be written. Choose another folder with --data-dir, or give this user the right to write it.`,
      });
    }
  });

  it.each(['ENOSPC', 'EDQUOT', 'SQLITE_FULL'])('that fills up later is named, too (%s)', (code) => {
    expect(asDataFolderError('/data', Object.assign(new Error('x'), { code }))).toMatchObject({
      code: 'ERR_DISK_FULL',
      message: 'The disk of /data is full. Free space there, then start again.',
    });
  });

  it('is not begun when the disk has too little room', async () => {
    const path = temporaryFolder();
    await expect(openDataFolder(path, { spaceNeeded: Number.MAX_SAFE_INTEGER })).rejects.toMatchObject({
      code: 'ERR_DISK_FULL',
      message: expect.stringContaining('MiB are free') as unknown,
    });
    expect(() => requireSpace(path, 1)).not.toThrow();
  });
});

describe('the secrets of a demo', () => {
  it('are made once, for this user only, and read again', async () => {
    const folder = await opened(temporaryFolder());
    const first = loadSecrets(folder);
    expect(loadSecrets(folder)).toEqual(first);
    expect(statSync(folder.path('secrets.json')).mode & 0o777).toBe(0o600);
    expect(first.storage.ada.accessKey).toMatch(/^[A-Z2-7]{20}$/);
    expect(first.storage.ada.secretKey).toHaveLength(40);
    expect(new Set(Object.values(first.passwords)).size).toBe(3);
  });

  it('are never replaced when their file is damaged', async () => {
    const folder = await opened(temporaryFolder());
    folder.write('secrets.json', '{"encryptionKey": "only this"}');
    expect(() => loadSecrets(folder)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    expect(readFileSync(folder.path('secrets.json'), 'utf8')).toBe('{"encryptionKey": "only this"}');
  });
});
