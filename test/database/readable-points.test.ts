import { expect, it } from '@jest/globals';
import { v7 } from 'uuid';
import { ReadablePoints } from '../../src/database/readable-points.ts';
import type { Database } from '../../src/database/connect.ts';
import { describeOnBoth } from './both.ts';
import { expectUsesIndex } from './explain.ts';
import { insertJob, type TestJob } from './rows.ts';

const MANY = 3_000;

function pointRow(
  job: TestJob,
  generation: number,
  columns: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    uuid: v7(),
    client_id: job.clientId,
    job_id: job.id,
    run_id: job.id * 100_000 + generation,
    run_uuid: v7(),
    engine: 'sync',
    status: 'success',
    generation,
    claim_name: 'c1-00000000',
    manifest_key: 'm',
    manifest_sha256: '0'.repeat(64),
    dest_bucket_id: 3,
    dest_bucket: 'backups',
    dest_prefix: 'p/',
    created_at: `2026-01-01 00:00:${String(generation % 60).padStart(2, '0')}.000`,
    ...columns,
  };
}

async function add(database: Database, ...args: Parameters<typeof pointRow>): Promise<string> {
  const row = pointRow(...args);
  await database.knex('s3_cloudbackup_restore_points').insert(row);
  return String(row['uuid']);
}

describeOnBoth('points for reading', (current) => {
  it('are the kept ones of the client alone, the newest first, page by page and by moment', async () => {
    const { database } = current();
    const job = await insertJob(database, { client_id: 1 });
    const foreign = await insertJob(database, { client_id: 2 });
    const points = new ReadablePoints(database, 1);
    const ids = [];
    for (const generation of [1, 2, 3, 4]) ids.push(await add(database, job, generation));
    const marked = await add(database, job, 5, { state: 'marked' });
    const theirs = await add(database, foreign, 9);

    const first = await points.ofJob({ jobId: job.id, limit: 3 });
    expect(first.map(({ uuid }) => uuid)).toEqual([ids[3], ids[2], ids[1]]);
    expect((await points.ofJob({ jobId: job.id, before: ids[1], limit: 3 })).map(({ uuid }) => uuid)).toEqual([ids[0]]);
    expect(await points.ofJob({ jobId: job.id, before: theirs, limit: 3 })).toEqual([]);
    expect(await points.ofJob({ jobId: foreign.id, limit: 3 })).toEqual([]);
    expect(await points.get(ids[0] ?? '')).toMatchObject({
      jobUuid: job.uuid,
      jobName: 'Photos',
      prefix: 'p/',
      bucketId: 3,
    });
    for (const uuid of [marked, theirs, v7()]) {
      await expect(points.get(uuid)).rejects.toMatchObject({ code: 'POINT_NOT_FOUND' });
    }
    const at = async (iso: string): Promise<string | undefined> => (await points.at(job.id, Date.parse(iso)))?.uuid;
    expect(await at('2026-01-01T00:00:02.999Z')).toBe(ids[1]);
    expect(await at('2026-01-01T00:00:02.000Z')).toBe(ids[1]);
    expect(await at('2026-01-01T00:00:00.999Z')).toBeUndefined();
    expect(await at('2027-01-01T00:00:00.000Z')).toBe(ids[3]);
  });

  it('are found by an index, however many there are', async () => {
    const test = current();
    const job = await insertJob(test.database, { client_id: 1 });
    const other = await insertJob(test.database, { client_id: 1 });
    const rows = Array.from({ length: MANY }, (_, i) => pointRow(i % 3 === 0 ? job : other, i + 1));
    await test.database.knex.batchInsert('s3_cloudbackup_restore_points', rows, 50);
    const points = new ReadablePoints(test.database, 1);
    await expectUsesIndex(test, points.ofJobQuery({ jobId: job.id, before: String(rows[900]?.['uuid']), limit: 51 }));
    await expectUsesIndex(test, points.atQuery(job.id, Date.parse('2026-01-01T00:00:30Z')));
  });
});
