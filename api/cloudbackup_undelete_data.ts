import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { JobId } from '../src/protocol/fields.ts';

/**
 * Brings a deleted job back with its data, while that is kept or in its grace. The job comes back paused, with its settings and all its
 * restore points: resume it to let it run again. Once its data is being deleted there is no way back.
 */
export default endpoint({
  name: 'cloudbackup_undelete_data',
  method: 'POST',
  caller: 'client',
  input: z.object({ job_id: JobId }),
  output: z.object({ job_id: z.string(), message: z.string() }),
  errors: ['JOB_NOT_FOUND', 'DATA_BEING_DELETED', 'SERVICE_SUSPENDED'],
  handle: async ({ client, input }) => {
    await client.retention.undelete(input.job_id);
    return { job_id: input.job_id, message: 'The job is back, paused, with all its restore points.' };
  },
});
