import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { Cursor, JobId, limit } from '../src/protocol/fields.ts';
import { RunView } from '../src/protocol/run.ts';

/** Runs, newest first, of one job or of all jobs of the client, each with the restore point that it left. */
export default endpoint({
  name: 'cloudbackup_list_runs',
  method: 'GET',
  caller: 'client',
  input: z.object({ job_id: JobId.optional(), cursor: Cursor, limit: limit({ fallback: 50, max: 200 }) }),
  output: z.object({ runs: z.array(RunView), next: z.string().nullable() }),
  errors: ['JOB_NOT_FOUND'],
  handle: async ({ client, input: { job_id: jobId, cursor, limit: most } }) => {
    const { rows, next } = await client.runs.list({ jobId, cursor, limit: most });
    return { runs: rows, next };
  },
});
