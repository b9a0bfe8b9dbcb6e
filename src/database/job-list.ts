import type { Database } from './connect.ts';

/** Uuids of all jobs whose data may lie in a bucket, deleted ones included, in pages by number. For operators' commands over all jobs. */
export async function* allJobUuids(database: Database): AsyncGenerator<string> {
  for (let after = 0; ;) {
    const rows = (await database
      .knex('s3_cloudbackup_jobs')
      .where('id', '>', after)
      .where('engine', 'sync')
      .whereNot('data_state', 'gone')
      .orderBy('id')
      .limit(500)
      .select('id', 'uuid')) as { id: number; uuid: string }[];
    if (rows.length === 0) return;
    for (const row of rows) yield row.uuid;
    after = Number(rows.at(-1)?.id);
  }
}
