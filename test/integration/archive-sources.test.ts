// Slow: archives and encrypted copies of every type of source, written and restored by real worker processes. S3 is in archive.test.ts.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createCipheriv } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { v7 } from 'uuid';
import { ClientSources } from '../../src/database/sources.ts';
import type { RunView } from '../../src/protocol/run.ts';
import { Secrets } from '../../src/security/envelope.ts';
import type { ProviderName } from '../../src/sources/oauth/providers.ts';
import { startCloudFake, type CloudFake } from '../servers/cloud-fake.ts';
import { startFtp, startWebdav } from '../servers/rclone-files.ts';
import { startSamba } from '../servers/samba.ts';
import { startSshd } from '../servers/sshd.ts';
import { KEY, startWorld, type World } from './world.ts';

const MIB = 1024 * 1024;
/** Smaller and larger than what is read whole before anything of it is written. */
const TREE: Readonly<Record<string, Buffer>> = {
  'plain.txt': Buffer.from('this text can be recognised wherever it lies'),
  'deep/in/a folder/é & more.txt': Buffer.from('é'),
  'deep/empty': Buffer.alloc(0),
  'large.bin': createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16)).update(Buffer.alloc(9 * MIB)),
};
/** Documents that are made into files while they are read: by name, under the name of the file. */
const DOCUMENTS: Readonly<Record<string, Readonly<Record<string, Buffer>>>> = {
  google_drive: { 'Letter.docx': Buffer.from('the letter, as a document for Office') },
  dropbox: { 'Notes.html': Buffer.from('<p>the notes</p>') },
};

let world: World;
let fake: CloudFake;
let folder: string;
const endings: (() => Promise<void>)[] = [];
/** The fields of a job that say where its files are. */
const sources: Record<string, Readonly<Record<string, unknown>>> = {};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'e3-archived-'));
  chmodSync(folder, 0o755);
  const [samba, webdav, ftp, sshd, cloud] = await Promise.all([
    startSamba({ shares: { files: folder } }),
    startWebdav({ folder }),
    startFtp({ folder }),
    startSshd(),
    startCloudFake(),
  ]);
  fake = cloud;
  endings.push(...[samba, webdav, ftp, sshd, cloud].map((server) => async () => await server.stop()));
  const smb = { host: samba.host, port: samba.port, share: 'files', user: samba.user, pass: samba.password };
  const dav = { url: webdav.url, user: webdav.user, pass: webdav.password };
  const ftps = { encryption: 'none', host: ftp.host, port: ftp.port, user: ftp.user, pass: ftp.password };
  const ssh = { host: sshd.host, port: sshd.port, user: sshd.user, private_key: sshd.privateKey };
  sources['sftp'] = { source_type: 'sftp', source_config: ssh, source_path: folder };
  sources['smb'] = { source_type: 'smb', source_config: smb };
  sources['webdav'] = { source_type: 'webdav', source_config: dav };
  sources['nas by FTP'] = { source_type: 'nas', source_config: { protocol: 'ftp', ...ftps } };
  world = await startWorld();
  for (const [path, body] of Object.entries(TREE)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), body);
  }
  fillGoogle();
  fillDropbox();
  for (const provider of ['google_drive', 'dropbox'] as const)
    sources[provider] = { source_type: provider, source_config: {}, source_connection_id: await connect(provider) };
  await world.startWorker({ ...fake.env });
}, 120_000);

afterAll(async () => {
  await world.stop();
  for (const ending of endings) await ending();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

function fillGoogle(): void {
  const { google } = fake;
  const place = google.folder('a folder', google.folder('in', google.folder('deep')));
  const deep = [...google.items.values()].find(({ name }) => name === 'deep')?.id ?? '';
  google.file('é & more.txt', TREE['deep/in/a folder/é & more.txt'] as Buffer, place);
  google.file('empty', '', deep);
  for (const name of ['plain.txt', 'large.bin']) google.file(name, TREE[name] as Buffer);
  for (const [name, body] of Object.entries(DOCUMENTS['google_drive'] ?? {}))
    google.document(name.replace('.docx', ''), 'document', body.toString());
}

function fillDropbox(): void {
  for (const [path, body] of Object.entries(TREE)) fake.dropbox.file(path, body);
  const exported = { export_as: 'markdown', export_options: ['markdown', 'html'] };
  for (const [name, body] of Object.entries(DOCUMENTS['dropbox'] ?? {}))
    fake.dropbox.file(name.replace('.html', '.paper'), body, { is_downloadable: false, export_info: exported });
}

/** An account that is connected by the client whom the operator has registered. */
async function connect(provider: ProviderName): Promise<string> {
  const { oauth, name } =
    provider === 'dropbox'
      ? { oauth: fake.dropbox.oauth, name: 'dropbox' }
      : { oauth: fake.google.oauth, name: 'google' };
  for (const [setting, value] of [
    [`cloudbackup_${name}_client_id`, oauth.clientId],
    [`cloudbackup_${name}_client_secret`, oauth.clientSecret],
  ] as const)
    await world.database.knex('tbladdonmodules').insert({ module: 'cloudstorage', setting, value });
  const uuid = v7();
  const token = new Secrets([KEY]).seal('source.refresh-token', uuid, oauth.issueRefreshToken());
  await world.database.transaction(async (trx) => {
    await new ClientSources(world.database, world.clientId).insert(trx, {
      ...{ uuid, provider, displayName: provider, accountEmail: 'ada@example.test' },
      ...{ scopes: [], refreshTokenEnc: token },
    });
  });
  return uuid;
}

const expectedOf = (source: string): Readonly<Record<string, Buffer>> => ({ ...TREE, ...DOCUMENTS[source] });

async function restored(run: RunView, prefix: string): Promise<RunView> {
  const { runId } = await world.client.runs.restore({
    from: { pointId: run.point?.point_id ?? '' },
    paths: [],
    target: { kind: 'bucket', bucketId: world.bucketId, prefix },
    overwrite: 'never',
    dryRun: false,
  });
  return await world.waitForRun(runId);
}

/** Files below a folder of the destination, by their paths. */
function filesBelow(prefix: string): Map<string, Buffer> {
  const top = join(world.folder, 'backups', prefix);
  const files = readdirSync(top, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(top.length + 1), readFileSync(path)];
    }),
  );
}

describe.each([
  ['sftp', 'archive'],
  ['smb', 'archive'],
  ['webdav', 'archive'],
  ['nas by FTP', 'archive'],
  ['google_drive', 'archive'],
  ['dropbox', 'archive'],
  ['webdav', 'sync'],
  ['google_drive', 'sync'],
  ['dropbox', 'sync'],
])('an encrypted job with a source of %s, in the mode %s,', (source, mode) => {
  it('keeps nothing that can be read, and gives back every byte', async () => {
    const prefix = `${mode}-${source.replaceAll(' ', '-')}`;
    const job = await world.createJob({
      ...{ name: prefix, backup_mode: mode, encryption_enabled: true, dest_prefix: prefix },
      max_attempts: 1,
      ...sources[source],
    });
    const expected = expectedOf(source);
    const run = await world.backUp(job);
    const files = Object.keys(expected).length;
    expect(run).toMatchObject({ status: 'success', objects_total: files, objects_transferred: files });

    const stored = filesBelow(prefix);
    expect([...stored.keys()].filter((key) => /plain\.txt|large\.bin|Letter|Notes/.test(key))).toEqual([]);
    for (const body of stored.values()) expect(body.includes('can be recognised')).toBe(false);
    const archives = [...stored.keys()].filter((key) => key.endsWith('archive.tar.zst'));
    expect(archives).toHaveLength(mode === 'archive' ? 1 : 0);

    const back = await restored(run, `${prefix}-back`);
    expect(['success', 'warning']).toContain(back.status);
    const found = filesBelow(`${prefix}-back`);
    expect([...found.keys()].sort()).toEqual(Object.keys(expected).sort());
    for (const [path, body] of Object.entries(expected)) expect(found.get(path)?.equals(body)).toBe(true);
    expect(readdirSync(world.runFolder)).toEqual([]);
  }, 120_000);
});

it('a document that is too large to be read without knowing its size is named, and is no hole in the archive', async () => {
  const { google } = fake;
  const folder = google.folder('Documents');
  google.document('Novel', 'document', 'x'.repeat(17 * MIB), folder);
  google.file('small.txt', 'small', folder);
  const job = await world.createJob({
    ...{ name: 'documents', backup_mode: 'archive', dest_prefix: 'documents', max_attempts: 1 },
    ...sources['google_drive'],
    source_path: 'Documents',
  });
  const run = await world.backUp(job);
  expect(run).toMatchObject({ status: 'warning', point: { files: 2, failed: 1 } });
  const { rows } = await world.client.proofs.files(run.run_id, { limit: 10 });
  expect(rows.map(({ path, code }) => [path, code])).toEqual([['Novel.docx', 'ERR_SIZE_UNKNOWN']]);
  await restored(run, 'documents-back');
  expect([...filesBelow('documents-back')].map(([path, body]) => [path, body.toString()])).toEqual([
    ['small.txt', 'small'],
  ]);
}, 120_000);
