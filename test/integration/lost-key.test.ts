// Real worker processes, with another encryption key than the one under which the backups were made.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunView } from '../../src/protocol/run.ts';
import { Secrets } from '../../src/security/envelope.ts';
import { sealLegacy } from '../../src/security/legacy.ts';
import { KEY, startWorld, type World } from './world.ts';

const NEW = 'made after the other one was lost';
const ENVIRONMENT = { CLOUD_BACKUP_ENCRYPTION_KEY: NEW };

let world: World;
let job: string;
let before: RunView;

beforeAll(async () => {
  world = await startWorld();
  const worker = await world.startWorker();
  world.writeFiles('source', { 'site/index.html': 'one', 'site/deep/page': 'page' });
  job = await world.createJob({ name: 'site', source_path: 'site', dest_prefix: 'site', max_attempts: 1 });
  before = await world.backUp(job);
  worker.kill('SIGTERM');
  await worker.ended();
  await enterCredentialsAnew();
  await world.startWorker(ENVIRONMENT);
}, 90_000);
afterAll(async () => await world.stop(), 60_000);

/** As the host and the customer do, because nobody can read what was stored. */
async function enterCredentialsAnew(): Promise<void> {
  const { knex } = world.database;
  const { accessKey, secretKey } = world.s3.access('backups');
  const sealed = (text: string): string => sealLegacy(text, NEW, randomBytes(16));
  await knex('s3_user_access_keys').update({ access_key: sealed(accessKey), secret_key: sealed(secretKey) });
  const row = (await knex('s3_cloudbackup_jobs').where('uuid', job).first('source_config_enc')) as {
    source_config_enc: string;
  };
  const config = new Secrets([KEY]).open('job.source-config', job, row.source_config_enc);
  const source_config_enc = new Secrets([NEW]).seal('job.source-config', job, config);
  await knex('s3_cloudbackup_jobs').where('uuid', job).update({ source_config_enc });
}

describe('a job whose encryption key was lost', () => {
  it('writes nothing until an operator adopts it, and goes on from its last point then', async () => {
    expect(await world.backUp(job)).toMatchObject({ status: 'failed', problem: { code: 'ERR_DEST_NOT_OURS' } });
    expect(world.execute('adopt', ['--all', '--yes'], ENVIRONMENT)).toMatchObject({ status: 0 });
    world.writeFiles('source', { 'site/new': 'new' });
    expect(await world.backUp(job)).toMatchObject({ status: 'success', objects_transferred: 1, point: { files: 3 } });
  }, 60_000);

  it('gives back what was backed up before', async () => {
    const target = join(world.runFolder, '../restored');
    expect(world.execute('restore', ['--run', before.run_id, '--to', target], ENVIRONMENT)).toMatchObject({
      status: 0,
    });
    expect(readFileSync(join(target, 'deep/page'), 'utf8')).toBe('page');
  }, 60_000);
});
