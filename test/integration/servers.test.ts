import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NewJob } from '../../src/protocol/job-input.ts';
import { startFtp, startWebdav } from '../servers/rclone-files.ts';
import { startSamba } from '../servers/samba.ts';
import { startWorld, type World } from './world.ts';

let world: World;
let folder: string;
const servers: { stop(): Promise<void> }[] = [];
const sources: Record<string, Pick<NewJob, 'source_type' | 'source_config'>> = {};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'e3-file-servers-'));
  chmodSync(folder, 0o755);
  const [samba, webdav, ftp] = await Promise.all([
    startSamba({ shares: { files: folder } }),
    startWebdav({ folder }),
    startFtp({ folder }),
  ]);
  servers.push(samba, webdav, ftp);
  const smb = { host: samba.host, port: samba.port, share: 'files', user: samba.user, pass: samba.password };
  sources['smb'] = { source_type: 'smb', source_config: smb };
  sources['nas'] = { source_type: 'nas', source_config: { protocol: 'smb', ...smb } };
  sources['webdav'] = {
    source_type: 'webdav',
    source_config: { url: webdav.url, user: webdav.user, pass: webdav.password },
  };
  sources['ftp'] = {
    source_type: 'nas',
    source_config: {
      ...{ protocol: 'ftp', encryption: 'none', host: ftp.host, port: ftp.port },
      ...{ user: ftp.user, pass: ftp.password },
    },
  };
  world = await startWorld();
  await world.startWorker();
}, 120_000);

afterAll(async () => {
  await Promise.all([world.stop(), ...servers.map(async (server) => await server.stop())]);
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

function write(path: string, content: string): void {
  mkdirSync(join(folder, path, '..'), { recursive: true });
  writeFileSync(join(folder, path), content);
  utimesSync(join(folder, path), 1_700_000_000, 1_700_000_000);
}

describe.each(['smb', 'nas', 'webdav', 'ftp'])('a job with a source reached by %s', (name) => {
  const source = () => {
    const found = sources[name];
    if (found === undefined) throw new Error(`there is no server for ${name}`);
    return found;
  };
  const files: Readonly<Record<string, string>> = {
    'plain.txt': 'plain',
    'with space & é.txt': 'é',
    'deep/in/a folder/leaf': 'leaf',
    'large.bin': 'x'.repeat(3_000_000),
  };

  it('shows its folders, is backed up, and gives back what is lost at the place itself', async () => {
    for (const [path, content] of Object.entries(files)) write(`${name}/${path}`, content);
    const found = await world.client.connections.browse({ ...source(), path: name });
    expect(found).toEqual({ folders: [{ name: 'deep', path: `${name}/deep` }], truncated: false });

    const job = await world.createJob({ name, ...source(), source_path: name, max_attempts: 1 });
    const first = await world.backUp(job);
    expect(first).toMatchObject({ status: 'success', objects_total: 4, objects_transferred: 4 });
    expect(await world.backUp(job)).toMatchObject({ status: 'success', objects_transferred: 0 });
    write(`${name}/plain.txt`, 'changed and longer');
    utimesSync(join(folder, name, 'plain.txt'), 1_700_000_100, 1_700_000_100);
    expect(await world.backUp(job)).toMatchObject({ status: 'success', objects_transferred: 1 });

    rmSync(join(folder, name, 'deep'), { recursive: true });
    const { runId } = await world.client.runs.restore({
      from: { pointId: first.point?.point_id ?? '' },
      paths: [],
      target: { kind: 'source' },
      overwrite: 'always',
      dryRun: false,
    });
    const restored = await world.waitForRun(runId);
    // Without checksums the result is "by size only", which is a warning.
    expect(['success', 'warning']).toContain(restored.status);
    for (const [path, content] of Object.entries(files))
      expect(readFileSync(join(folder, name, path), 'utf8')).toBe(content);
  }, 120_000);

  it('says what is wrong with it, and tells nobody its password', async () => {
    const { source_type, source_config } = source();
    const wrong = { source_type, source_config: { ...source_config, pass: 'not the password' } };
    await expect(world.client.connections.browse({ ...wrong, path: '' })).rejects.toMatchObject({
      code: 'ERR_SOURCE_AUTH',
    });
    expect(await world.client.connections.test({ ...wrong, source_path: '' })).toMatchObject({
      ok: false,
      problem: { code: 'ERR_SOURCE_AUTH' },
    });
    const missing = { ...source(), path: 'nowhere' };
    await expect(world.client.connections.browse(missing)).rejects.toMatchObject({ code: 'ERR_SOURCE_NOT_FOUND' });
    const job = await world.createJob({ name: 'wrong', ...wrong, source_path: name, max_attempts: 1 });
    expect(await world.backUp(job)).toMatchObject({ status: 'failed', problem: { code: 'ERR_SOURCE_AUTH' } });
    const logs = world
      .workers()
      .map((worker) => worker.log())
      .join('\n');
    expect(logs).not.toContain('not the password');
    expect(JSON.stringify(await world.client.jobs.get(job))).not.toContain('not the password');
  }, 120_000);
});
