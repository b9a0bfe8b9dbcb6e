import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { JobId } from '../src/protocol/fields.ts';

/** Deletes a job. Its backups stay in the bucket, and its folder stays taken. Refused while a run is queued or running. */
export default endpoint({
  name: 'cloudbackup_delete_job',
  method: 'POST',
  caller: 'client',
  input: z.object({ job_id: JobId }),
  output: z.object({ message: z.string(), bucket: z.string(), prefix: z.string() }),
  errors: ['JOB_NOT_FOUND', 'ALREADY_RUNNING'],
  handle: async ({ client, input }) => {
    const { bucket, prefix } = await client.jobs.delete(input.job_id);
    return {
      message: `The job was deleted. Its backups stay in ${bucket}/${prefix}, and no other job can use this folder.`,
      bucket,
      prefix,
    };
  },
});
