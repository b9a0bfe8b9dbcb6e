import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { JobId } from '../src/protocol/fields.ts';
import { times, timeFields } from '../src/protocol/times.ts';

/**
 * Deletes a job. `data=keep` (default): its backups stay in the bucket, and its folder stays taken. `data=delete`: they go after a
 * grace, until then `cloudbackup_undelete_data` brings the job back; the folder is free when they are gone. Refused while a run is
 * queued or running. With `data=delete` also for a job that was deleted before with its data kept.
 */
export default endpoint({
  name: 'cloudbackup_delete_job',
  method: 'POST',
  caller: 'client',
  input: z.object({
    job_id: JobId,
    data: z.enum(['keep', 'delete'], { error: 'must be keep or delete' }).default('keep'),
  }),
  output: z.object({ message: z.string(), bucket: z.string(), prefix: z.string(), ...timeFields('data_delete_at') }),
  errors: ['JOB_NOT_FOUND', 'ALREADY_RUNNING'],
  handle: async ({ client, input }) => {
    const { bucket, prefix, dataDeleteAt } = await client.jobs.delete(input.job_id, input.data);
    const kept = `Its backups stay in ${bucket}/${prefix}, and no other job can use this folder.`;
    const goes = `Its backups in ${bucket}/${prefix} are removed later. Until then the job can be brought back.`;
    return {
      message: `The job was deleted. ${dataDeleteAt === null ? kept : goes}`,
      bucket,
      prefix,
      ...times({ data_delete_at: dataDeleteAt }),
    };
  },
});
