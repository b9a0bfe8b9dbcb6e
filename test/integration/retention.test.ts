// Slow (about half a minute): real worker processes on a real S3 server.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { zstdDecompressSync } from 'node:zlib';
import type { RunView } from '../../src/protocol/run.ts';
import { runMaintenanceOnce } from '../../src/runs/maintenance.ts';
import { openS3Store } from '../../src/storage/s3.ts';
import { startFaultProxy, type FaultProxy } from '../servers/fault-proxy.ts';
import { startWorld, type WorkerProcess, type World } from './world.ts';

let world: World;
let proxy: FaultProxy;
/** Deletes that came to the proxy; from this one on they hang. */
let hangFrom = Infinity;
let deletes = 0;
const workers: WorkerProcess[] = [];

const worker = async (environment: Record<string, string> = {}): Promise<WorkerProcess> => {
  const started = await world.startWorker(environment);
  workers.push(started);
  return started;
};
const endWorkers = async (): Promise<void> => {
  for (const one of workers.splice(0)) {
    one.kill('SIGKILL');
    await one.ended();
  }
};

beforeAll(async () => {
  world = await startWorld('sqlite');
  proxy = await startFaultProxy(world.s3.endpoint, ({ method, path }) => {
    if (method !== 'DELETE' && (method !== 'POST' || !/[?&]delete\b/.test(path))) return undefined;
    deletes += 1;
    return deletes >= hangFrom ? 'hang' : undefined;
  });
}, 60_000);
afterEach(async () => await endWorkers(), 30_000);
afterAll(async () => {
  await proxy.stop();
  await world.stop();
}, 60_000);

async function until(what: string, met: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await delay(30)) if (await met()) return;
  throw new Error(
    `waited in vain for: ${what}; workers said:\n${world
      .workers()
      .map((one) => one.log())
      .join('\n')}`,
  );
}

const row = async (job: string): Promise<Record<string, unknown>> =>
  (await world.database.knex('s3_cloudbackup_jobs').where('uuid', job).first('*')) as Record<string, unknown>;
const statesOf = async (job: string): Promise<string[]> => {
  const rows = (await world.database
    .knex('s3_cloudbackup_restore_points as p')
    .join('s3_cloudbackup_jobs as j', 'j.id', 'p.job_id')
    .where('j.uuid', job)
    .orderBy('p.generation')
    .select('p.state')) as { state: string }[];
  return rows.map(({ state }) => state);
};

/** One pass of the cron: the uuid of the job's newest maintenance run. */
async function enqueue(job: string): Promise<string> {
  const jobs = world.database.knex('s3_cloudbackup_jobs');
  await jobs.clone().whereNot('uuid', job).update({ maintenance_at: null });
  await jobs.clone().where('uuid', job).update({ maintenance_at: '2026-01-01 00:00:00.000' });
  await runMaintenanceOnce({
    database: world.database,
    records: { serviceState: () => Promise.resolve('active'), timezone: () => Promise.resolve(null) },
  });
  const run = (await world.database
    .knex('s3_cloudbackup_runs')
    .where({ job_uuid: job, kind: 'maintenance' })
    .orderBy('id', 'desc')
    .first('uuid')) as { uuid: string };
  return run.uuid;
}
const maintain = async (job: string): Promise<RunView> => await world.waitForRun(await enqueue(job));
const eventsOf = async (run: string): Promise<string[]> =>
  (await world.client.runs.events(run, { sinceId: 0, limit: 1000 })).map((event) => event.message_id);

function filesBelow(folder: string, prefix = ''): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = `${prefix}${entry.name}`;
    return entry.isDirectory() ? filesBelow(join(folder, entry.name), `${path}/`) : [path];
  });
}

interface Manifest {
  readonly run: string;
  readonly claim: string;
  readonly chunks: readonly { readonly key: string }[];
}

/** What the manifests in the bucket need, marker included: what may lie there, and must. */
function neededBy(folder: string): { needed: string[]; manifests: number } {
  const needed = new Set(['e3-owner.json']);
  const names = readdirSync(join(folder, 'manifests')).filter((name) => name.endsWith('.json'));
  for (const name of names) {
    needed.add(`manifests/${name}`).add(`manifests/${name.replace(/\.json$/, '.ok')}`);
    const manifest = JSON.parse(readFileSync(join(folder, 'manifests', name), 'utf8')) as Manifest;
    for (const { key } of manifest.chunks) {
      needed.add(key);
      const lines = zstdDecompressSync(readFileSync(join(folder, key)))
        .toString()
        .trimEnd()
        .split('\n');
      for (const line of lines) needed.add((JSON.parse(line) as { key: string }).key);
    }
  }
  return { needed: [...needed].sort(), manifests: names.length };
}

/** The server remembers a folder for a moment: a run that listed what was there before would find the file changed while it copied. */
async function served(key: string, size: number): Promise<void> {
  const store = openS3Store(world.s3.access('source'));
  while ((await store.head(key))?.size !== size) await delay(20);
}

/** A job with some points: a file that never changes, one that always does, one that is gone after the second run. */
async function makePoints(
  count: number,
  name: string,
  change: Record<string, unknown> = {},
): Promise<{ job: string; folder: string; runs: string[] }> {
  world.writeFiles('source', { [`${name}/same.txt`]: 'same', [`${name}/gone.txt`]: 'gone' });
  const job = await world.createJob({ name, source_path: name, dest_prefix: name, ...change });
  const runs: string[] = [];
  for (let round = 1; round <= count; round += 1) {
    world.writeFiles('source', { [`${name}/moving.txt`]: `${round}`.repeat(round * 10) });
    if (round === 3) rmSync(join(world.folder, 'source', name, 'gone.txt'));
    await served(`${name}/moving.txt`, round * 10);
    const run = await world.backUp(job);
    const told = await world.client.runs.events(run.run_id, { sinceId: 0, limit: 1000 });
    expect({ status: run.status, told }).toMatchObject({ status: 'success' });
    runs.push(run.run_id);
  }
  return { job, folder: join(world.folder, 'backups', name), runs };
}

function expectExactly(folder: string, points: number): void {
  const { needed, manifests } = neededBy(folder);
  expect(manifests).toBe(points);
  expect(filesBelow(folder).sort()).toEqual(needed);
}

describe('retention carried out by workers', () => {
  it('keeps the last two of four points: the bucket holds exactly what they need, and the older one is restored', async () => {
    await worker();
    const { job, folder, runs } = await makePoints(4, 'two', { retention_mode: 'keep_last_n', retention_value: 2 });
    expect((await row(job))['maintenance_at']).not.toBeNull();
    const run = await maintain(job);
    expect(run).toMatchObject({ status: 'success', kind: 'maintenance' });
    expect(await statesOf(job)).toEqual(['pruned', 'pruned', 'kept', 'kept']);
    expectExactly(folder, 2);
    const stored = filesBelow(folder).filter((path) => path.startsWith('run_'));
    const bytes = stored.reduce((sum, path) => sum + readFileSync(join(folder, path)).length, 0);
    expect((await row(job))['stored_bytes']).toBe(bytes);
    const target = join(world.runFolder, '../restored');
    expect(world.execute('restore', ['--run', runs[2] ?? '', '--to', target])).toMatchObject({ status: 0 });
    expect(filesBelow(target).sort()).toEqual(['moving.txt', 'same.txt']);
    expect(readFileSync(join(target, 'moving.txt'), 'utf8')).toBe('3'.repeat(30));
    expect(await eventsOf(run.run_id)).toEqual(
      expect.arrayContaining(['MAINTENANCE_STARTING', 'POINT_PRUNED', 'MAINTENANCE_COMPLETED']),
    );
    const again = await maintain(job);
    expect(again).toMatchObject({ status: 'success', objects_transferred: 0 });
    const gone = (await world.database
      .knex('s3_cloudbackup_restore_points')
      .where('run_uuid', runs[0])
      .first('*')) as Record<string, unknown>;
    expect(gone['pruned_at']).not.toBeNull();
    // What reindex finds is what maintenance said.
    await world.database.knex('s3_cloudbackup_jobs').where('uuid', job).update({ stored_bytes: 1 });
    await endWorkers();
    expect(world.execute('reindex', [job])).toMatchObject({ status: 0 });
    expect((await row(job))['stored_bytes']).toBe(bytes);
  }, 120_000);

  it('is killed while it deletes, and a second worker ends what it began', async () => {
    await worker();
    const { job, folder } = await makePoints(2, 'killed', { retention_mode: 'keep_last_n', retention_value: 1 });
    await endWorkers();
    // The first delete is the probe before anything is marked.
    hangFrom = deletes + 2;
    const victim = await worker({ CLOUD_BACKUP_DESTINATION_ENDPOINT: proxy.endpoint });
    const runId = await enqueue(job);
    await until('it deletes', () => deletes >= hangFrom);
    expect(await statesOf(job)).toEqual(['deleting', 'kept']);
    victim.kill('SIGKILL');
    await victim.ended();
    hangFrom = Infinity;
    await worker();
    expect(await world.waitForRun(runId)).toMatchObject({ status: 'success', attempt: 1 });
    expect(await statesOf(job)).toEqual(['pruned', 'kept']);
    expectExactly(folder, 1);
  }, 120_000);

  it('makes room for a backup that is started meanwhile', async () => {
    await worker();
    const { job } = await makePoints(2, 'yielding', { retention_mode: 'keep_last_n', retention_value: 1 });
    process.kill(world.s3.pid, 'SIGSTOP');
    let starting: Promise<{ runId: string }>;
    let runId: string;
    try {
      runId = await enqueue(job);
      const run = async (): Promise<Record<string, unknown>> =>
        (await world.database.knex('s3_cloudbackup_runs').where('uuid', runId).first('*')) as Record<string, unknown>;
      await until('maintenance is under way', async () =>
        ['starting', 'running'].includes(String((await run())['status'])),
      );
      starting = world.client.runs.start(job);
      await until('it is asked', async () => (await run())['yield_requested'] === 1);
      // A heartbeat that began after the request has read it.
      for (let beats = 0; beats < 2; beats += 1) {
        const before = (await run())['last_heartbeat_at'];
        await until('it has heard', async () => (await run())['last_heartbeat_at'] !== before);
      }
    } finally {
      process.kill(world.s3.pid, 'SIGCONT');
    }
    expect(await world.waitForRun(runId)).toMatchObject({ status: 'cancelled', problem: { code: 'ERR_YIELDED' } });
    expect((await eventsOf(runId)).at(-1)).toBe('YIELDED');
    expect(await world.waitForRun((await starting).runId)).toMatchObject({ status: 'success' });
    expect(await maintain(job)).toMatchObject({ status: 'success' });
    expect(await statesOf(job)).toEqual(['pruned', 'pruned', 'kept']);
  }, 120_000);

  it('removes nothing while it is frozen, nothing of a lowered retention before its time, and then what was said', async () => {
    await worker();
    const { job, folder, runs } = await makePoints(3, 'waiting', { retention_mode: 'keep_last_n', retention_value: 2 });
    await world.database
      .knex('s3_cloudbackup_jobs')
      .where('uuid', job)
      .update({ frozen_at: '2026-01-01 00:00:00.000' });
    const before = filesBelow(folder).sort();
    expect(await maintain(job)).toMatchObject({ status: 'success', objects_transferred: 0 });
    expect(filesBelow(folder).sort()).toEqual(before);
    await world.client.jobs.releaseBrake(job);
    await world.client.jobs.update(job, { retention_mode: 'keep_last_n', retention_value: 1 });
    await maintain(job);
    expect(await statesOf(job)).toEqual(['pruned', 'kept', 'kept']);
    const { points } = await world.client.retention.preview(job, { retention_mode: 'keep_last_n', retention_value: 1 });
    const promised = points.filter((point) => !point.keep).map((point) => point.run_id);
    expect(promised).toEqual([runs[1]]);
    await world.database
      .knex('s3_cloudbackup_jobs')
      .where('uuid', job)
      .update({ retention_acts_at: '2026-01-01 00:00:00.000' });
    await maintain(job);
    expect(await statesOf(job)).toEqual(['pruned', 'pruned', 'kept']);
    expectExactly(folder, 1);
  }, 120_000);

  it('deletes the data of a deleted job after its grace, leaves what is not ours, and frees the folder when nothing is left', async () => {
    await worker();
    const { job, folder } = await makePoints(1, 'given-up');
    await world.client.jobs.delete(job, 'delete');
    const another = { name: 'successor', source_path: 'given-up', dest_prefix: 'given-up' };
    await expect(world.createJob(another)).rejects.toMatchObject({ code: 'PREFIX_TAKEN' });
    const over = { data_delete_at: '2026-01-01 00:00:00.000' };
    await world.database.knex('s3_cloudbackup_jobs').where('uuid', job).update(over);
    writeFileSync(join(folder, 'a file of the customer'), 'not ours');
    // The last run has only just ended: a worker of it that was cut off could still write.
    await maintain(job);
    expect(await statesOf(job)).toEqual(['pruned']);
    expect(filesBelow(folder)).toEqual(['a file of the customer']);
    expect((await row(job))['data_state']).toBe('deleting');
    await expect(world.client.retention.undelete(job)).rejects.toMatchObject({ code: 'DATA_BEING_DELETED' });
    rmSync(join(folder, 'a file of the customer'));
    await world.database
      .knex('s3_cloudbackup_runs')
      .where('job_uuid', job)
      .update({ finished_at: '2026-01-01 00:00:00.000' });
    await maintain(job);
    expect(await row(job)).toMatchObject({ data_state: 'gone', stored_bytes: 0 });
    expect((await world.client.retention.deleted()).rows).toEqual([]);
    const successor = await world.createJob(another);
    expect(await world.backUp(successor)).toMatchObject({ status: 'success' });
  }, 120_000);
});
