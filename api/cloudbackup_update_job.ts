import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { JobChanges } from '../src/protocol/job-input.ts';

/**
 * Changes a job. A field that is absent stays as it is, a text that is empty is cleared, a secret that is empty stays. After the
 * first run bucket and prefix are fixed. `status` pauses and resumes; a run that is under way goes on.
 */
export default endpoint({
  name: 'cloudbackup_update_job',
  method: 'POST',
  caller: 'client',
  input: JobChanges,
  output: z.object({ message: z.string() }),
  errors: [
    'JOB_NOT_FOUND',
    'LAYOUT_FIXED',
    'BUCKET_NOT_FOUND',
    'PREFIX_TAKEN',
    'SOURCE_IS_DESTINATION',
    'HOST_NOT_ALLOWED',
    'ERR_HOST_UNKNOWN',
    'ERR_SOURCE_CONFIG',
    'ERR_NOT_AVAILABLE',
    'ERR_DECRYPT_SOURCE_CONFIG',
    'CONFLICT',
  ],
  handle: async ({ client, input: { job_id: jobId, ...changes } }) => {
    await client.jobs.update(jobId, changes);
    return { message: 'The job was saved.' };
  },
});
