import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openS3Store } from '../../src/storage/s3.ts';
import type { DriveItem } from '../servers/google-fake.ts';
import { apiError, type GoogleFake } from '../servers/google-fake.ts';
import { copyAll, listAll, openConnectedWorld, type ConnectedWorld } from './connected.ts';

let world: ConnectedWorld;
let google: GoogleFake;
let drive: string;
let target = 0;

beforeAll(async () => {
  world = await openConnectedWorld();
  google = world.fake.google;
}, 60_000);
afterAll(async () => await world.close());
beforeEach(async () => {
  for (const id of [...google.items.keys()]) if (id !== 'root-id') google.items.delete(id);
  Object.assign(google, { incomplete: false, intercept: null, pageSize: 1_000 });
  Object.assign(google.oauth, { refusal: null, rotates: false, expiresIn: 3_599 });
  google.requests.length = 0;
  drive = await world.connect('google_drive');
  target += 1;
});

const engineOf = async (config: object = {}, path = '') =>
  world.engine(await world.open(drive, 'google_drive', config, path));
const copied = (path: string): string => readFileSync(join(world.s3.folder, 'copies', `t${target}`, path), 'utf8');
const item = (name: string): DriveItem => {
  const found = [...google.items.values()].find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
};

describe('a Google Drive', () => {
  it('is listed with sizes, dates and MD5 sums, page by page, and copied', async () => {
    google.pageSize = 2;
    const folder = google.folder('Photos');
    for (const name of ['a.jpg', 'b.jpg', 'c.jpg']) google.file(name, `content of ${name}`, folder);
    google.file('at the root.txt', 'root');
    const engine = await engineOf();
    const { files, outcome, paths } = await listAll(engine);
    expect(outcome).toEqual({ complete: true, unreadable: [], skipped: [] });
    expect(paths).toEqual(['Photos/a.jpg', 'Photos/b.jpg', 'Photos/c.jpg', 'at the root.txt']);
    expect(files.get('Photos/a.jpg')).toEqual({
      path: 'Photos/a.jpg',
      size: 16,
      mtime: '2026-02-03T04:05:06.789Z',
      hash: `md5:${item('a.jpg').md5Checksum}`,
    });
    expect(await copyAll(engine, `t${target}`)).toMatchObject({ fatal: null, exitCode: 0 });
    expect(copied('Photos/c.jpg')).toBe('content of c.jpg');
    const again = await engine.look(['Photos/b.jpg', 'gone.txt'], { signal: new AbortController().signal });
    expect([...again.keys()]).toEqual(['Photos/b.jpg']);
  }, 60_000);

  it('tells the bucket nothing of a file but its time and type: not its owner, and not its description, however long', async () => {
    const more = { description: 'd'.repeat(5_000), owners: [{ emailAddress: 'ada@gmail.example' }] };
    google.file('plan.txt', 'plan', 'root-id', more);
    const engine = await engineOf();
    await listAll(engine);
    expect(await copyAll(engine, `t${target}`)).toMatchObject({ fatal: null, exitCode: 0 });
    const head = await openS3Store(world.s3.access('copies')).head(`t${target}/plan.txt`);
    expect(head?.metadata).toEqual({ mtime: '1770091506.789' });
  }, 60_000);

  it('is read below a chosen folder, a path, or in a shared drive', async () => {
    const chosen = google.folder('Chosen');
    const inside = google.folder('Inside', chosen);
    google.file('deep.txt', 'deep', inside);
    google.file('elsewhere.txt', 'x');
    expect((await listAll(await engineOf({ root_folder_id: chosen }))).paths).toEqual(['Inside/deep.txt']);
    expect((await listAll(await engineOf({}, 'Chosen/Inside'))).paths).toEqual(['deep.txt']);
    const team = google.sharedDrive('Team');
    google.file('shared.txt', 'shared', team);
    const engine = await engineOf({ team_drive: team });
    expect((await listAll(engine)).paths).toEqual(['shared.txt']);
    expect(google.requests.at(-1)?.query.get('driveId')).toBe(team);
    await copyAll(engine, `t${target}`);
    expect(copied('shared.txt')).toBe('shared');
  }, 60_000);

  it('gives out native documents as Office files, and names those that it cannot', async () => {
    google.document('Report', 'document', 'exported report');
    google.document('Survey', 'form', '');
    const engine = await engineOf();
    const { files, outcome } = await listAll(engine);
    expect(files.get('Report.docx')).toMatchObject({ size: -1, hash: null, dated: true });
    expect(outcome).toEqual({
      complete: true,
      unreadable: [],
      skipped: [{ path: 'Survey', reason: 'unexportable' }],
    });
    await copyAll(engine, `t${target}`, ['Report.docx']);
    expect(copied('Report.docx')).toBe('exported report');
  }, 60_000);

  it('names shortcuts that lead in circles or nowhere, and follows the others', async () => {
    const folder = google.folder('Folder');
    const file = google.file('real.txt', 'real', folder);
    google.shortcut('to the file', file);
    google.shortcut('circle', folder, folder);
    google.shortcut('nowhere', 'an id that nobody has');
    const engine = await engineOf();
    const { outcome, paths } = await listAll(engine);
    expect(outcome.skipped).toEqual([{ path: 'Folder/circle', reason: 'symlink_loop' }]);
    expect(paths).toEqual(['Folder/real.txt', 'nowhere', 'to the file']);
    const { failed } = await copyAll(engine, `t${target}`, paths);
    expect([...failed].map(([path, { code }]) => [path, code])).toEqual([['nowhere', 'ERR_SOURCE_NOT_FOUND']]);
    expect(copied('to the file')).toBe('real');
  }, 60_000);

  it('has two files of one name: both are told, so that the run can name the one that it leaves out', async () => {
    google.file('same.txt', 'first');
    google.file('same.txt', 'second one');
    expect((await listAll(await engineOf())).paths).toEqual(['same.txt', 'same.txt']);
  }, 60_000);

  it('has two folders of one name: what lies in the hidden one is named', async () => {
    const first = google.folder('twice');
    const second = google.folder('twice');
    google.file('in the first.txt', '1', first);
    google.file('in the second.txt', '2', second);
    const { outcome } = await listAll(await engineOf());
    expect(outcome.skipped).toContainEqual({ path: 'twice', reason: 'duplicate' });
  }, 60_000);

  it('has two folders of the name that a backup begins at, or goes through: the run does not pass for a whole one', async () => {
    const first = google.folder('twice');
    const second = google.folder('twice');
    for (const [folder, name] of [
      [first, 'one.txt'],
      [second, 'two.txt'],
    ] as const)
      google.file(name, 'x', google.folder('inner', folder));
    for (const path of ['twice', 'twice/inner']) {
      const { outcome } = await listAll(await engineOf({}, path));
      expect(outcome.skipped).toContainEqual({ path: '', reason: 'duplicate' });
    }
  }, 60_000);

  it('that calls its search incomplete makes an incomplete listing', async () => {
    google.file('seen.txt', 'x');
    google.incomplete = true;
    const { outcome, paths } = await listAll(await engineOf());
    expect(paths).toEqual(['seen.txt']);
    expect(outcome).toMatchObject({ complete: false, unreadable: [''] });
  }, 60_000);

  it('names files that it holds back, that vanish, and whose content is not what was listed', async () => {
    google.file('malware.exe', 'x', 'root-id', { refusal: { status: 403, reason: 'cannotDownloadAbusiveFile' } });
    google.file('gone.txt', 'x', 'root-id', { refusal: { status: 404, reason: 'notFound' } });
    google.file('liar.txt', 'abc', 'root-id', { size: '2000' });
    google.file('fine.txt', 'fine');
    const { failed, fatal } = await copyAll(await engineOf(), `t${target}`);
    expect(fatal).toBeNull();
    expect(Object.fromEntries([...failed].map(([path, { code }]) => [path, code]))).toEqual({
      'malware.exe': 'ERR_FILE_WITHHELD',
      'gone.txt': 'ERR_SOURCE_NOT_FOUND',
      'liar.txt': expect.stringMatching(/^ERR_/),
    });
    expect(copied('fine.txt')).toBe('fine');
  }, 120_000);

  it('keeps names that are hard: slashes, quotes, control characters, case, unicode forms', async () => {
    const names = [
      "it's.txt",
      'back\\slash',
      'tab\there',
      'ä.txt',
      'a\u0308.txt',
      'Case.txt',
      'case.txt',
      'x.partial',
      `${'n'.repeat(255)}`,
    ];
    for (const name of names) google.file(name, name);
    google.file('either/or.txt', 'slash');
    const engine = await engineOf();
    const { paths, outcome } = await listAll(engine);
    expect(outcome.complete).toBe(true);
    expect(paths).toHaveLength(names.length + 1);
    const { failed } = await copyAll(engine, `t${target}`, paths);
    expect([...failed.keys()]).toEqual([]);
    expect(copied("it's.txt")).toBe("it's.txt");
    expect(copied('either／or.txt')).toBe('slash');
  }, 60_000);
});

describe('tokens of a Google Drive', () => {
  it('are fetched again when they end in mid-run, by nobody but the worker', async () => {
    google.file('a.txt', 'a');
    google.oauth.expiresIn = 121;
    const definition = await world.open(drive, 'google_drive');
    const engine = world.engine(definition);
    const before = google.oauth.refreshes;
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect((await listAll(engine)).paths).toEqual(['a.txt']);
    expect(google.oauth.refreshes).toBeGreaterThan(before);
    expect(JSON.stringify(definition.options)).not.toContain(await world.refreshTokenOf(drive));
    expect(JSON.stringify(definition.options)).not.toContain(google.oauth.clientSecret);
  }, 60_000);

  it('that are replaced are stored at once', async () => {
    google.oauth.rotates = true;
    const first = await world.refreshTokenOf(drive);
    await world.open(drive, 'google_drive');
    const second = await world.refreshTokenOf(drive);
    expect(second).not.toBe(first);
    await world.open(drive, 'google_drive');
    expect(await world.refreshTokenOf(drive)).not.toBe(second);
    expect(await world.connection(drive)).toMatchObject({ status: 'active' });
  }, 60_000);

  it('that are refused mark the connection, until they work again', async () => {
    google.oauth.refusal = { status: 400, error: 'invalid_grant' };
    await expect(world.open(drive, 'google_drive')).rejects.toMatchObject({ code: 'ERR_GDRIVE_REFRESH_PRECHECK' });
    expect(await world.connection(drive)).toMatchObject({ status: 'error', errorCode: 'ERR_GDRIVE_REFRESH_PRECHECK' });
    google.oauth.refusal = null;
    await world.open(drive, 'google_drive');
    expect(await world.connection(drive)).toMatchObject({ status: 'active', errorCode: null });
  }, 60_000);

  it('that are refused in mid-run end the call with the same code', async () => {
    google.file('a.txt', 'a');
    google.oauth.expiresIn = 121;
    const engine = await engineOf();
    google.oauth.refusal = { status: 400, error: 'invalid_grant' };
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await expect(listAll(engine)).rejects.toMatchObject({ code: 'ERR_GDRIVE_REFRESH_PRECHECK' });
    expect(await world.connection(drive)).toMatchObject({ status: 'error' });
  }, 60_000);

  it('that are given up before their time end the run for another try', async () => {
    google.file('a.txt', 'a');
    const engine = await engineOf();
    google.intercept = (request) =>
      request.path.startsWith('/drive') ? apiError(401, 'authError', 'Invalid Credentials') : null;
    await expect(listAll(engine)).rejects.toMatchObject({ code: 'ERR_SOURCE_TOKEN' });
  }, 60_000);

  it('do not count as refused when the operator’s client is wrong or Google does not answer', async () => {
    google.oauth.refusal = { status: 401, error: 'invalid_client' };
    await expect(world.open(drive, 'google_drive')).rejects.toMatchObject({ code: 'ERR_GDRIVE_NO_CLIENT_CREDENTIALS' });
    google.oauth.refusal = { status: 503, error: 'unavailable' };
    await expect(world.open(drive, 'google_drive')).rejects.toMatchObject({ code: 'ERR_NETWORK' });
    expect(await world.connection(drive)).toMatchObject({ status: 'active' });
  }, 60_000);
});

describe('limits of Google', () => {
  it('are waited for when they are of the moment, and end the run when they are of the day', async () => {
    google.file('a.txt', 'a');
    const engine = await engineOf();
    google.next.push(
      apiError(403, 'userRateLimitExceeded', 'slow down'),
      apiError(403, 'userRateLimitExceeded', 'slow'),
    );
    expect((await listAll(engine)).paths).toEqual(['a.txt']);
    google.intercept = () => apiError(403, 'dailyLimitExceeded', 'Daily Limit Exceeded');
    await expect(listAll(engine)).rejects.toMatchObject({ code: 'ERR_QUOTA' });
    google.intercept = () => apiError(403, 'insufficientPermissions', 'Insufficient Permission');
    await expect(listAll(engine)).rejects.toMatchObject({ code: 'ERR_PERMISSION' });
    google.intercept = () => apiError(429, 'rateLimitExceeded', 'Too many', { 'retry-after': '1' });
    await expect(listAll(engine)).rejects.toMatchObject({ code: 'ERR_RATE_LIMIT' });
  }, 180_000);

  it('a root that does not exist is told as such', async () => {
    await expect(listAll(await engineOf({}, 'no such folder'))).rejects.toMatchObject({ code: 'ERR_SOURCE_NOT_FOUND' });
  }, 60_000);
});
