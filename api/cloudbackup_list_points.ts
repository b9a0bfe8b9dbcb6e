import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { Cursor, JobId, limit } from '../src/protocol/fields.ts';
import { PointView } from '../src/protocol/run.ts';

/** The restore points of a job, newest first; of a deleted job too, as its backups stay. */
export default endpoint({
  name: 'cloudbackup_list_points',
  method: 'GET',
  caller: 'client',
  input: z.object({ job_id: JobId, cursor: Cursor, limit: limit({ fallback: 50, max: 200 }) }),
  output: z.object({ points: z.array(PointView), next: z.string().nullable() }),
  errors: ['JOB_NOT_FOUND'],
  handle: async ({ client, input: { job_id: jobId, cursor, limit: most } }) => {
    const { rows, next } = await client.points.list({ jobId, cursor, limit: most });
    return { points: rows, next };
  },
});
