// Slow (about twenty seconds): real worker processes, and a second installation on the storage of the first.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Dialect } from '../../src/database/connect.ts';
import { dropNeverWritten } from '../../src/database/job-data.ts';
import { JobChanges } from '../../src/protocol/job-input.ts';
import type { RunView } from '../../src/protocol/run.ts';
import { openS3Store } from '../../src/storage/s3.ts';
import { startWorld, type World } from './world.ts';

/** Who may write to all tables; the worker's own user may not make jobs. */
const OPERATOR = { CLOUD_BACKUP_DATABASE_USERNAME: 'e3', CLOUD_BACKUP_DATABASE_PASSWORD: 'secret' };

let lost: World;
let site: string;
let photos: string;
/** Of the first job: each installation adds one. */
let sitePoints = 2;
const runs: Record<'first' | 'second' | 'other', RunView> = {} as never;

const FIRST = { 'site/index.html': 'one', 'site/deep/er/page': 'page', 'site/gone': 'was here' };
const SECOND = { 'index.html': 'two', 'deep/er/page': 'page', new: 'new', gone: 'was here' };

beforeAll(async () => {
  lost = await startWorld('sqlite');
  await lost.startWorker();
  site = await lost.createJob({ name: 'site', source_path: 'site', dest_prefix: 'customers/ada/site' });
  photos = await lost.createJob({ name: 'photos', source_path: 'photos', dest_prefix: 'photos' });
  lost.writeFiles('source', { ...FIRST, 'photos/ä b.jpg': 'jpg' });
  runs.first = await lost.backUp(site);
  lost.writeFiles('source', { 'site/index.html': 'two', 'site/new': 'new' });
  runs.second = await lost.backUp(site);
  runs.other = await lost.backUp(photos);
  for (const worker of lost.workers()) {
    worker.kill('SIGTERM');
    await worker.ended();
  }
  const store = openS3Store(lost.s3.access('backups'));
  const marker = (await store.get('photos/e3-owner.json'))?.toString() ?? '';
  await store.put('forged/e3-owner.json', Buffer.from(marker.replace(photos, site)));
  await store.put('notes/readme.txt', Buffer.from('no backup'));
  await store.put('rubbish/e3-owner.json', Buffer.from('{'));
}, 120_000);
afterAll(async () => await lost.stop(), 60_000);

describe.each<Dialect>(['sqlite', 'mysql'])('a new installation (%s) whose former database is gone', (dialect) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld(dialect, { s3: lost.s3 });
  }, 90_000);
  afterAll(async () => await world.stop(), 60_000);

  const execute = (name: string, ...args: string[]): ReturnType<World['execute']> =>
    world.execute(name, args, dialect === 'mysql' ? OPERATOR : {});
  const jobs = async (): Promise<unknown[]> => await world.database.knex('s3_cloudbackup_jobs').pluck('uuid');

  it('says that there is no job, finds them in the buckets, and changes nothing before it is told to', async () => {
    const nothing = execute('reindex', '--all');
    expect(nothing).toMatchObject({ status: 0, stdout: '' });
    expect(nothing.stderr).toContain('e3-cloudbackup-adopt --client');
    const tried = execute('adopt', '--client', String(world.clientId));
    expect(tried.stdout.split('\n').filter((line) => line.includes('would be made'))).toHaveLength(2);
    expect(await jobs()).toEqual([]);
    expect(execute('adopt', '--client', '0', '--yes').stderr).toContain('ERR_USAGE');
    expect(execute('adopt', '--client', '1', '--all').stderr).toContain('ERR_USAGE');
  }, 60_000);

  it('makes the jobs anew from their owner markers, paused, and leaves forged ones alone', async () => {
    const made = execute('adopt', '--client', String(world.clientId), '--yes');
    expect(made.status).toBe(1);
    const lines = made.stdout.trim().split('\n').sort();
    expect(lines).toEqual([
      expect.stringContaining(`backups/customers/ada/site/: ${site} was made a job of, paused`),
      expect.stringContaining(`backups/forged/: ${site} left alone; the marker is forged`),
      expect.stringContaining(`backups/photos/: ${photos} was made a job of, paused`),
      expect.stringContaining('backups/rubbish/: no job left alone; the marker cannot be read'),
    ]);
    const { rows } = await world.client.jobs.list();
    expect(rows).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          job_id: site,
          status: 'paused',
          source_type: 's3_compatible',
          retention_mode: 'none',
        }),
      ]),
    );
    expect((await world.stranger.jobs.list()).rows).toEqual([]);
    const again = execute('adopt', '--client', String(world.clientId), '--yes');
    expect(again.stdout.split('\n').filter((line) => line.includes('is known'))).toHaveLength(2);
    expect(await world.database.knex('s3_cloudbackup_audit').where({ action: 'job.found' }).pluck('target_id')).toEqual(
      expect.arrayContaining([site, photos]),
    );
  }, 60_000);

  it('takes none of them for a job that has never run: their folders stay theirs', async () => {
    const moved = JobChanges.parse({ job_id: photos, dest_prefix: 'elsewhere' });
    await expect(world.client.jobs.update(photos, moved)).rejects.toMatchObject({ code: 'LAYOUT_FIXED' });
    const { database } = world;
    const undone = new Error('undone');
    const drop = database.transaction(async (trx) => {
      const gone = { status: 'deleted', data_state: 'grace', data_delete_at: '2026-01-01 00:00:00.000' };
      await trx('s3_cloudbackup_jobs').where('uuid', photos).update(gone);
      const row = (await trx('s3_cloudbackup_jobs').where('uuid', photos).first('id')) as { id: number };
      expect(await dropNeverWritten(database, trx, row.id)).toBe(false);
      throw undone;
    });
    await expect(drop).rejects.toBe(undone);
  }, 60_000);

  it('has all points again after a reindex of all jobs, and gives each back byte for byte', async () => {
    const told = execute('reindex', '--all');
    expect(told.stderr).toBe('');
    expect(told.stdout).toContain(`${site}: ${sitePoints} restore points, 0 lost`);
    expect(told.stdout).toContain(`${photos}: 1 restore points, 0 lost`);
    const expected: [RunView, Record<string, string>][] = [
      [runs.first, { 'index.html': 'one', 'deep/er/page': 'page', gone: 'was here' }],
      [runs.second, SECOND],
      [runs.other, { 'ä b.jpg': 'jpg' }],
    ];
    for (const [run, files] of expected) {
      const target = join(world.runFolder, `../restored-${run.run_id}`);
      expect(execute('restore', '--run', run.run_id, '--to', target)).toMatchObject({ status: 0 });
      expect(contentOf(target)).toEqual(files);
    }
  }, 90_000);

  it('goes on where the former one stopped, once its owner has entered the source again', async () => {
    const access = lost.s3.access('source');
    await world.client.jobs.update(
      site,
      JobChanges.parse({
        job_id: site,
        status: 'active',
        source_type: 's3_compatible',
        source_config: {
          endpoint: access.endpoint,
          region: access.region,
          bucket: 'source',
          access_key: access.accessKey,
          secret_key: access.secretKey,
          provider: 'Rclone',
        },
        source_path: 'site',
      }),
    );
    await world.startWorker();
    expect(await world.backUp(site)).toMatchObject({
      status: 'success',
      objects_transferred: 0,
      point: { files: Object.keys(SECOND).length },
    });
    sitePoints += 1;
    const worker = world.workers()[0];
    worker?.kill('SIGTERM');
    await worker?.ended();
  }, 90_000);
});

function contentOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path.slice(folder.length + 1), readFileSync(path, 'utf8')];
    }),
  );
}
