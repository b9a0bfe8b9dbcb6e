import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { Cursor, limit } from '../src/protocol/fields.ts';
import { DeletedJobView } from '../src/protocol/retention.ts';

/** Deleted jobs whose data is not gone yet, the youngest first: they can be brought back unless their data is being deleted. */
export default endpoint({
  name: 'cloudbackup_list_deleted_jobs',
  method: 'GET',
  caller: 'client',
  input: z.object({ cursor: Cursor, limit: limit({ fallback: 50, max: 200 }) }),
  output: z.object({ jobs: z.array(DeletedJobView), next: z.string().nullable() }),
  errors: [],
  handle: async ({ client, input: { cursor, limit: most } }) => {
    const { rows, next } = await client.retention.deleted({ cursor, limit: most });
    return { jobs: rows, next };
  },
});
