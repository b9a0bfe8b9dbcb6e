import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startSshd, type SshServer } from '../servers/sshd.ts';
import { startWorld, type World } from './world.ts';

/** Names that break careless programs. Each is a file of its own; none may be lost, merged with another, or renamed. */
const NAMES = [
  'plain.txt',
  'with space.txt',
  ' leading and trailing ',
  '-rf',
  '--files-from-raw',
  'quotes \' and " and `.txt',
  '$(touch owned); echo.txt',
  'new\nline.txt',
  'tab\tand\u0001control.txt',
  'back\\slash.txt',
  'per%20cent%2F.txt',
  '#hash;semicolon',
  'e\u0301 decomposed.txt',
  'é decomposed.txt',
  'UPPER.TXT',
  'upper.txt',
  '{curly},[square],*star*,?',
  '雪と❄️.txt',
  'folder/-dash/ space /file',
  `${Array.from({ length: 200 }, (_, i) => `d${i}`).join('/')}/leaf`,
];

let world: World;
let sshd: SshServer;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'e3-sftp-'));
  chmodSync(folder, 0o755);
  for (const name of NAMES) {
    mkdirSync(dirname(join(folder, 'files', name)), { recursive: true });
    writeFileSync(join(folder, 'files', name), `content of ${name}`);
  }
  [world, sshd] = await Promise.all([startWorld(), startSshd()]);
  await world.startWorker();
}, 120_000);

afterAll(async () => {
  await Promise.all([world.stop(), sshd.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

function source(change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { host: sshd.host, port: sshd.port, user: sshd.user, private_key: sshd.privateKey, ...change };
}

async function sftpJob(name: string, change: Readonly<Record<string, unknown>> = {}): Promise<string> {
  return await world.createJob({
    name,
    source_type: 'sftp',
    source_path: join(folder, 'files'),
    source_config: source(change),
    max_attempts: 1,
  });
}

function filesBelow(root: string, prefix = ''): string[] {
  return readdirSync(root, { withFileTypes: true }).flatMap((entry) => {
    const path = `${prefix}${entry.name}`;
    return entry.isDirectory() ? filesBelow(join(root, entry.name), `${path}/`) : [path];
  });
}

describe('an SFTP server', () => {
  it('is backed up and restored byte by byte, whatever the files are called', async () => {
    const job = await sftpJob('names');
    const run = await world.backUp(job);
    expect(run).toMatchObject({ status: 'success', objects_total: NAMES.length });
    const [point] = (await world.client.points.list({ jobId: job })).rows;
    const target = join(folder, 'restored');
    const restored = world.execute('restore', ['--point', point?.point_id ?? '', '--to', target]);
    expect([restored.status, restored.stderr]).toEqual([0, expect.any(String)]);
    const found = filesBelow(target).map((path) => [path, readFileSync(join(target, path), 'utf8')]);
    expect(found.sort()).toEqual(NAMES.map((name) => [name, `content of ${name}`]).sort());
    const again = await world.backUp(job);
    expect(again).toMatchObject({ status: 'success', objects_transferred: 0 });
  }, 120_000);

  it('that refuses the key or cannot be found ends the run with the code of that', async () => {
    const other = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    }).privateKey;
    const refused = await world.backUp(await sftpJob('wrong key', { private_key: other }));
    expect(refused).toMatchObject({ status: 'failed', problem: { code: 'ERR_SFTP_AUTH' }, point: null });
    const password = await world.backUp(
      await sftpJob('wrong password', { private_key: undefined, pass: 'hunter2-hunter2' }),
    );
    expect(password).toMatchObject({ status: 'failed', problem: { code: 'ERR_SFTP_AUTH' }, point: null });
    expect(JSON.stringify(password)).not.toContain('hunter2');
    await expect(sftpJob('unknown host', { host: 'no-such-host.invalid' })).rejects.toMatchObject({
      code: 'ERR_HOST_UNKNOWN',
    });
  }, 120_000);

  it('whose host key changed is refused until the customer accepts the new one', async () => {
    const job = await sftpJob('host key');
    expect(await world.backUp(job)).toMatchObject({ status: 'success' });
    const { port } = sshd;
    await sshd.stop();
    // The same address, with new keys: as after a reinstallation, or as somebody in the middle.
    sshd = await startSshd({ port });
    await world.client.jobs.update(job, { source_config: source() });
    const refused = await world.backUp(job);
    expect(refused).toMatchObject({ status: 'failed', problem: { code: 'ERR_SFTP_HOST_KEY_CHANGED' } });
    const { seen } = (await world.client.jobs.get(job)).source.host_key;
    await world.client.jobs.acceptHostKey(job, seen ?? '');
    expect(await world.backUp(job)).toMatchObject({ status: 'success' });
  }, 120_000);
});
