import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { NewJob } from '../src/protocol/job-input.ts';

/**
 * Makes a backup job. `source_config` is a JSON object, or its text, with the settings of the source type. Left empty, `dest_prefix`
 * becomes a folder of the job's own. Options that are not available yet are refused, not ignored.
 */
export default endpoint({
  name: 'cloudbackup_create_job',
  method: 'POST',
  caller: 'client',
  input: NewJob,
  output: z.object({ job_id: z.string(), message: z.string() }),
  errors: [
    'BUCKET_NOT_FOUND',
    'PREFIX_TAKEN',
    'SOURCE_IS_DESTINATION',
    'HOST_NOT_ALLOWED',
    'ERR_HOST_UNKNOWN',
    'ERR_SOURCE_CONFIG',
    'ERR_NOT_AVAILABLE',
    'SERVICE_SUSPENDED',
  ],
  handle: async ({ client, input }) => {
    const { jobId } = await client.jobs.create(input);
    return { job_id: jobId, message: 'The job was made.' };
  },
});
