import type { Knex } from 'knex';
import { extendTable, narrowTable, type AddedColumn } from './columns.ts';

const jobColumns: readonly AddedColumn[] = [
  /** Since when the service of the job's owner is known to be over: a grace that the host lengthens counts from there. */
  { name: 'data_ending_since', define: (c) => void c.time('data_ending_since') },
];

export async function up(knex: Knex): Promise<void> {
  await extendTable(knex, 's3_cloudbackup_jobs', jobColumns, {});
}

export async function down(knex: Knex): Promise<void> {
  await narrowTable(knex, 's3_cloudbackup_jobs', jobColumns, {});
}
