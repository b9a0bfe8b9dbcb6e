import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { Cursor, limit } from '../src/protocol/fields.ts';
import { JobCard } from '../src/protocol/job.ts';

/**
 * The jobs of the client, oldest first, with what a card shows: stored size, last run, the last 30 days. `next` is the `cursor` of
 * the next page, null at the end.
 */
export default endpoint({
  name: 'cloudbackup_list_jobs',
  method: 'GET',
  caller: 'client',
  input: z.object({ cursor: Cursor, limit: limit({ fallback: 50, max: 200 }) }),
  output: z.object({ jobs: z.array(JobCard), next: z.string().nullable() }),
  errors: [],
  handle: async ({ client, input }) => {
    const { rows, next } = await client.jobs.list(input);
    return { jobs: rows, next };
  },
});
