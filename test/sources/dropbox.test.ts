import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DropboxFake } from '../servers/dropbox-fake.ts';
import { copyAll, listAll, openConnectedWorld, type ConnectedWorld } from './connected.ts';

let world: ConnectedWorld;
let dropbox: DropboxFake;
let connection: string;
let target = 0;

beforeAll(async () => {
  world = await openConnectedWorld();
  dropbox = world.fake.dropbox;
}, 60_000);
afterAll(async () => await world.close());
beforeEach(async () => {
  dropbox.entries.clear();
  dropbox.intercept = null;
  Object.assign(dropbox.oauth, { refusal: null, rotates: false });
  connection = await world.connect('dropbox');
  target += 1;
});

const engineOf = async (path = '') => world.engine(await world.open(connection, 'dropbox', {}, path));
const copied = (path: string): string => readFileSync(join(world.s3.folder, 'copies', `t${target}`, path), 'utf8');
const refused = (tag: string, status = 401) => ({
  status,
  body: { error_summary: `${tag}/..`, error: { '.tag': tag } },
});

describe('a Dropbox', () => {
  it('is listed with sizes and dates, page by page, and copied', async () => {
    dropbox.pageSize = 2;
    for (const name of ['a.jpg', 'b.jpg', 'c.jpg']) dropbox.file(`Photos/2026/${name}`, `content of ${name}`);
    dropbox.file('at the root.txt', 'root');
    const engine = await engineOf();
    const { files, outcome, paths } = await listAll(engine);
    expect(outcome).toEqual({ complete: true, unreadable: [], skipped: [] });
    expect(paths).toEqual(['Photos/2026/a.jpg', 'Photos/2026/b.jpg', 'Photos/2026/c.jpg', 'at the root.txt']);
    expect(files.get('at the root.txt')).toEqual({
      path: 'at the root.txt',
      size: 4,
      mtime: '2026-02-03T04:05:06Z',
      hash: null,
    });
    expect(await copyAll(engine, `t${target}`)).toMatchObject({ fatal: null, exitCode: 0 });
    expect(copied('Photos/2026/c.jpg')).toBe('content of c.jpg');
    const again = await engine.look(['Photos/2026/b.jpg', 'gone.txt'], { signal: new AbortController().signal });
    expect([...again.keys()]).toEqual(['Photos/2026/b.jpg']);
    expect((await listAll(await engineOf('Photos/2026'))).paths).toEqual(['a.jpg', 'b.jpg', 'c.jpg']);
    await expect(listAll(await engineOf('nowhere'))).rejects.toMatchObject({ code: 'ERR_SOURCE_NOT_FOUND' });
  }, 60_000);

  it('gives out its documents as web pages, names those that it cannot, and files that it holds back', async () => {
    const forms = (...options: string[]) => ({
      is_downloadable: false,
      export_info: { export_as: options[0] ?? '', export_options: options },
    });
    dropbox.file('Work/Notes.paper', 'the notes', forms('markdown', 'html'));
    dropbox.file('Work/Sheet.gsheet', '', forms('xlsx'));
    dropbox.file('Work/held back.mp3', 'x');
    const held = dropbox.entries.get('/work/held back.mp3')?.id ?? '';
    dropbox.intercept = ({ path, headers }) =>
      path === '/2/files/download' && String(headers['dropbox-api-arg']).includes(held)
        ? refused('path/restricted_content', 409)
        : null;
    const engine = await engineOf('Work');
    const { outcome, paths } = await listAll(engine);
    expect(outcome.skipped).toEqual([{ path: 'Sheet.gsheet', reason: 'unexportable' }]);
    expect(paths).toEqual(['Notes.html', 'held back.mp3']);
    const { failed } = await copyAll(engine, `t${target}`, paths);
    expect([...failed].map(([path, { code }]) => [path, code])).toEqual([['held back.mp3', 'ERR_FILE_WITHHELD']]);
    expect(copied('Notes.html')).toBe('the notes');
  }, 60_000);

  it('keeps names that are hard', async () => {
    const names = ["it's.txt", 'tab\there', 'ä.txt', 'trailing.', 'x.partial', 'emoji 🙂.txt', 'n'.repeat(255)];
    for (const name of names) dropbox.file(name, name);
    const engine = await engineOf();
    const { paths } = await listAll(engine);
    expect(paths).toHaveLength(names.length);
    expect([...(await copyAll(engine, `t${target}`, paths)).failed.keys()]).toEqual([]);
    expect(copied('emoji 🙂.txt')).toBe('emoji 🙂.txt');
  }, 60_000);

  it('waits when it is told to, for as long as it is told', async () => {
    dropbox.file('a.txt', 'a');
    const engine = await engineOf();
    const told = {
      error_summary: 'too_many_requests/..',
      error: { reason: { '.tag': 'too_many_requests' }, retry_after: 1 },
    };
    let refusals = 0;
    dropbox.intercept = (request) => {
      if (request.path !== '/2/files/list_folder' || refusals > 0) return null;
      refusals += 1;
      return { status: 429, headers: { 'retry-after': '1' }, body: told };
    };
    expect((await listAll(engine)).paths).toEqual(['a.txt']);
    expect(refusals).toBe(1);
  }, 60_000);
});

describe('tokens of a Dropbox', () => {
  it('that are replaced are stored; that are refused mark the connection', async () => {
    dropbox.oauth.rotates = true;
    const before = await world.refreshTokenOf(connection);
    await world.open(connection, 'dropbox');
    expect(await world.refreshTokenOf(connection)).not.toBe(before);
    dropbox.oauth.revokeAll();
    await expect(world.open(connection, 'dropbox')).rejects.toMatchObject({ code: 'ERR_DROPBOX_REFRESH_PRECHECK' });
    expect(await world.connection(connection)).toMatchObject({ status: 'error' });
  }, 60_000);

  it('that are given up before their time, or allow too little, end the run with words', async () => {
    dropbox.file('a.txt', 'a');
    const engine = await engineOf();
    dropbox.intercept = () => refused('expired_access_token');
    await expect(listAll(engine)).rejects.toMatchObject({ code: 'ERR_SOURCE_TOKEN' });
    dropbox.intercept = () => refused('missing_scope');
    await expect(listAll(engine)).rejects.toMatchObject({ code: 'ERR_DROPBOX_REFRESH_PRECHECK' });
  }, 60_000);
});

describe('two processes that refresh at once', () => {
  it('do not lose a connection whose token is replaced', async () => {
    dropbox.oauth.rotates = true;
    await Promise.all([
      world.open(connection, 'dropbox'),
      world.open(connection, 'dropbox'),
      world.open(connection, 'dropbox'),
    ]).catch(() => undefined);
    await world.open(connection, 'dropbox');
    expect(await world.connection(connection)).toMatchObject({ status: 'active' });
    expect(dropbox.oauth.refreshTokens.has(await world.refreshTokenOf(connection))).toBe(true);
  }, 60_000);
});
