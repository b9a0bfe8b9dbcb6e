import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { Cursor, JobId, limit } from '../src/protocol/fields.ts';
import { DrillView } from '../src/protocol/proofs.ts';

/** The records of restore tests, newest first, of one job or of all jobs of the client. */
export default endpoint({
  name: 'cloudbackup_list_drills',
  method: 'GET',
  caller: 'client',
  input: z.object({ job_id: JobId.optional(), cursor: Cursor, limit: limit({ fallback: 50, max: 200 }) }),
  output: z.object({ drills: z.array(DrillView), next: z.string().nullable() }),
  errors: ['JOB_NOT_FOUND'],
  handle: async ({ client, input: { job_id: jobId, cursor, limit: most } }) => {
    const { rows, next } = await client.proofs.drills({ jobId, cursor, limit: most });
    return { drills: rows, next };
  },
});
