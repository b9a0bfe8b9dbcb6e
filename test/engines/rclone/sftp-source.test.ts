import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { keyOfPath, pathOfNativeName } from '../../../src/layout/encoding.ts';
import { openS3Store } from '../../../src/storage/s3.ts';
import { NASTY_NAMES } from '../../layout/names.ts';
import { startRcloneS3, startRcloneSftp, type SftpServer } from '../../servers/rclone-serve.ts';
import { startSshd, type SshServer } from '../../servers/sshd.ts';
import { fetchHostKey } from '../../../src/sources/fetch-host-key.ts';
import { lookSftp } from '../../../src/sources/list-sftp.ts';
import { copyTo, keysBelow, listAll, openEngine, sftpSource, type TestEngine } from './engine.ts';

const never = new AbortController().signal;

let s3: Awaited<ReturnType<typeof startRcloneS3>>;
let sshd: SshServer;
let base: string;
const engines: TestEngine[] = [];

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'e3-sftp-source-'));
  chmodSync(base, 0o755);
  [s3, sshd] = await Promise.all([startRcloneS3({ flags: ['--no-unicode-normalization'] }), startSshd()]);
  mkdirSync(join(s3.folder, 'backups'));
});

afterAll(async () => {
  for (const engine of engines) engine.remove();
  await Promise.all([s3.stop(), sshd.stop()]);
  rmSync(base, { recursive: true, force: true });
});

function overSsh(folder: string): TestEngine {
  const config = { host: sshd.host, port: sshd.port, user: sshd.user, private_key: sshd.privateKey };
  const engine = openEngine(sftpSource(config, folder), s3.access('backups'), { hostKey: sshd.hostKeys[0] ?? '' });
  engines.push(engine);
  return engine;
}

function folderWith(name: string, files: Readonly<Record<string, string>>): string {
  const folder = join(base, name);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

describe('listing an SFTP source', () => {
  it('tells path, size and whole seconds of every file, of folders nothing', async () => {
    const folder = folderWith('plain', { 'a.txt': 'abc', 'b/c/d.txt': 'hello' });
    mkdirSync(join(folder, 'empty'));
    utimesSync(join(folder, 'a.txt'), 1_700_000_000, 1_700_000_000.75);
    const { files, outcome } = await listAll(overSsh(folder));
    expect([...files.keys()].sort()).toEqual(['a.txt', 'b/c/d.txt']);
    expect(files.get('a.txt')).toEqual({ path: 'a.txt', size: 3, mtime: '2023-11-14T22:13:20Z', hash: null });
    expect(outcome).toEqual({ complete: true, unreadable: [], skipped: [] });
  });

  it('reads a folder of many files and one 200 levels deep', async () => {
    const deep = `${Array.from({ length: 200 }, (_, i) => `d${i}`).join('/')}/leaf`;
    const many = Object.fromEntries(Array.from({ length: 2_500 }, (_, i) => [`many/f${i}`, '']));
    const { files } = await listAll(overSsh(folderWith('large', { ...many, [deep]: 'x' })));
    expect(files.size).toBe(2_501);
    expect(files.has(deep)).toBe(true);
  });

  it('leaves links into the source out, follows those out of it, and walks in no circle', async () => {
    const folder = folderWith('links', { 'real/a': 'a', b: 'b' });
    const outside = folderWith('outside', { 'x/y': 'outside', single: 'one' });
    symlinkSync('real', join(folder, 'inner-folder'));
    symlinkSync('b', join(folder, 'inner-file'));
    symlinkSync('.', join(folder, 'self'));
    symlinkSync('..', join(folder, 'real', 'up'));
    symlinkSync('nowhere', join(folder, 'dangling'));
    symlinkSync(outside, join(folder, 'data'));
    symlinkSync(join(outside, 'single'), join(folder, 'outer-file'));
    symlinkSync(outside, join(outside, 'x', 'loop'));
    symlinkSync(folder, join(outside, 'back'));
    const { files, outcome } = await listAll(overSsh(folder));
    expect([...files.keys()].sort()).toEqual(['b', 'data/single', 'data/x/y', 'outer-file', 'real/a']);
    expect(outcome.complete).toBe(true);
    expect([...outcome.skipped].sort((a, b) => a.path.localeCompare(b.path))).toEqual([
      { path: 'dangling', reason: 'symlink' },
      { path: 'data/back', reason: 'symlink' },
      { path: 'data/x/loop', reason: 'symlink_loop' },
      { path: 'inner-file', reason: 'symlink' },
      { path: 'inner-folder', reason: 'symlink' },
      { path: 'real/up', reason: 'symlink' },
      { path: 'self', reason: 'symlink' },
    ]);
  });

  it('names a link that it cannot look behind, instead of taking what lay there for deleted', async () => {
    const folder = folderWith('closed', { here: 'x' });
    // No system can look at such a name; as for one that nobody has the right to see, the answer is not "there is nothing".
    symlinkSync('n'.repeat(300), join(folder, 'data'));
    const { files, outcome } = await listAll(overSsh(folder));
    expect([...files.keys()]).toEqual(['here']);
    expect(outcome).toEqual({ complete: false, unreadable: ['data'], skipped: [] });
  });

  it('leaves pipes and sockets alone, whose reading would block the server', async () => {
    const folder = folderWith('special', { file: 'x' });
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    const socket = createServer().listen(join(folder, 'socket'));
    try {
      const { files, outcome } = await listAll(overSsh(folder));
      expect([...files.keys()]).toEqual(['file']);
      expect([...outcome.skipped].sort((a, b) => a.path.localeCompare(b.path))).toEqual([
        { path: 'pipe', reason: 'special_file' },
        { path: 'socket', reason: 'special_file' },
      ]);
    } finally {
      socket.close();
    }
  });

  it('says what is wrong with the path', async () => {
    const folder = folderWith('wrong', { file: 'x' });
    await expect(listAll(overSsh(join(folder, 'missing')))).rejects.toMatchObject({ code: 'ERR_SOURCE_NOT_FOUND' });
    await expect(listAll(overSsh(join(folder, 'file')))).rejects.toMatchObject({ code: 'ERR_SOURCE_NOT_FOUND' });
  });

  it('ends with the reason of its signal, also in the middle', async () => {
    const folder = folderWith('stopped', { 'a/1': '', 'b/2': '' });
    const abort = new AbortController();
    const listing = overSsh(folder).list({ signal: abort.signal });
    const reason = new Error('enough');
    const read = async (): Promise<void> => {
      for await (const _ of listing.files) abort.abort(reason);
    };
    await expect(read()).rejects.toBe(reason);
    await expect(listing.outcome).rejects.toBe(reason);
  });
});

describe('looking again at an SFTP source', () => {
  it('tells of each file what the listing would tell, and is silent about those that are gone', async () => {
    const folder = folderWith('look', { a: 'a', 'sub/b': 'bb', 'new\nline': 'c' });
    const engine = overSsh(folder);
    const { files } = await listAll(engine);
    rmSync(join(folder, 'a'));
    const seen = await engine.look([...files.keys()], { signal: never });
    expect(seen.get('sub/b')).toEqual(files.get('sub/b'));
    expect(seen.get('new␊line')).toEqual(files.get('new␊line'));
    expect([...seen.keys()].sort()).toEqual(['new␊line', 'sub/b']);
  });
});

describe('looking at an SFTP server before something is written over', () => {
  it('takes a file for missing only where the server says so', async () => {
    const folder = folderWith('certain', { a: 'a' });
    const config = { host: sshd.host, port: sshd.port, user: sshd.user, private_key: sshd.privateKey };
    const { origin } = sftpSource(config, folder);
    if (origin.kind !== 'sftp') throw new Error('it is no SFTP source');
    const look = async (paths: string[]): Promise<string[]> => {
      const options = { hostKey: sshd.hostKeys[0] ?? '', signal: never, certain: true };
      return [...(await lookSftp(origin, paths, options)).keys()];
    };
    expect(await look(['a', 'missing', 'a/below a file'])).toEqual(['a']);
    // The server can look at no such name.
    await expect(look(['a', 'n'.repeat(300)])).rejects.toMatchObject({ code: 'ERR_SOURCE_LISTING' });
  });
});

describe('copying an SFTP source', () => {
  it('brings files of every name to the key of their path', async () => {
    const folder = join(base, 'names');
    mkdirSync(folder);
    const names = NASTY_NAMES.filter((name) => !name.includes(0x2f));
    for (const [i, name] of names.entries()) {
      writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), name]), `content ${i}`);
      const inner = Buffer.concat([Buffer.from(`${folder}/in `), name]);
      mkdirSync(inner);
      writeFileSync(Buffer.concat([inner, Buffer.from('/'), name]), `inner ${i}`);
    }
    const engine = overSsh(folder);
    const { files, outcome } = await listAll(engine);
    const expected = names.flatMap((name) => [
      pathOfNativeName(name),
      pathOfNativeName(Buffer.concat([Buffer.from('in '), name, Buffer.from('/'), name])),
    ]);
    expect([...files.keys()].sort()).toEqual([...expected].sort());
    expect(outcome.skipped).toEqual([]);
    const seen = await engine.look(expected, { signal: never });
    expect(seen).toEqual(files);

    const store = openS3Store(s3.access('backups'));
    expect(await copyTo(engine, expected, 'names/listed')).toMatchObject({ fatal: null, exitCode: 0, stopped: false });
    expect(await keysBelow(store, 'names/listed/')).toEqual(expected.map(keyOfPath).sort());
    expect(await copyTo(engine, 'all', 'names/all')).toMatchObject({ fatal: null, exitCode: 0 });
    expect(await keysBelow(store, 'names/all/')).toEqual(expected.map(keyOfPath).sort());
    for (const [i, name] of names.entries()) {
      const body = await store.get(`names/listed/${keyOfPath(pathOfNativeName(name))}`);
      expect(body?.toString()).toBe(`content ${i}`);
    }
  });

  it('reaches files through links out of the source, also when everything is copied', async () => {
    const folder = folderWith('through', { own: 'o' });
    const outside = folderWith('through-outside', { 'x/y': 'far' });
    symlinkSync(outside, join(folder, 'data'));
    const engine = overSsh(folder);
    const { files } = await listAll(engine);
    expect([...files.keys()].sort()).toEqual(['data/x/y', 'own']);
    const store = openS3Store(s3.access('backups'));
    await copyTo(engine, [...files.keys()], 'through/listed');
    expect(await keysBelow(store, 'through/listed/')).toEqual(['data/x/y', 'own']);
    await copyTo(engine, 'all', 'through/all');
    expect(await keysBelow(store, 'through/all/')).toEqual(['data/x/y', 'own']);
  });

  it('names the files that could not be read, and copies the others', async () => {
    const folder = folderWith('gone', { stays: 'here', goes: 'soon' });
    const engine = overSsh(folder);
    await listAll(engine);
    rmSync(join(folder, 'goes'));
    const outcome = await copyTo(engine, ['stays', 'goes'], 'gone');
    expect(outcome.fatal).toBeNull();
    expect(await keysBelow(openS3Store(s3.access('backups')), 'gone/')).toEqual(['stays']);
  });
});

describe('a server that takes passwords', () => {
  let server: SftpServer;
  beforeAll(async () => {
    server = await startRcloneSftp({ folder: folderWith('password', { a: 'a', 'b/c': 'c' }) });
  });
  afterAll(async () => {
    await server.stop();
  });

  it('is listed and copied', async () => {
    const hostKey = await fetchHostKey(server, never);
    const config = { host: server.host, port: server.port, user: server.user, pass: server.password };
    const engine = openEngine(sftpSource(config, ''), s3.access('backups'), { hostKey });
    engines.push(engine);
    const { files } = await listAll(engine);
    expect([...files.keys()].sort()).toEqual(['a', 'b/c']);
    expect((await copyTo(engine, 'all', 'password')).exitCode).toBe(0);
    expect(await keysBelow(openS3Store(s3.access('backups')), 'password/')).toEqual(['a', 'b/c']);
  });
});
