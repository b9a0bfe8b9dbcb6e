import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { flag, JobId, line } from '../src/protocol/fields.ts';

/**
 * Queues a backup run of a job now. Refused while another run of the job is queued or running; the answer then names that run.
 * `allow_empty` lets this one run go through although the source lists no files; it is recorded, and retention stops until somebody
 * has looked.
 */
export default endpoint({
  name: 'cloudbackup_start_run',
  method: 'POST',
  caller: 'client',
  input: z.object({
    job_id: JobId,
    allow_empty: flag().default(false),
    /** Accepted because older callers send it; a run that a person starts is always `manual`. */
    trigger_type: line({ max: 16 }).optional(),
  }),
  output: z.object({ run_id: z.string(), run_uuid: z.string() }),
  errors: ['JOB_NOT_FOUND', 'JOB_PAUSED', 'ALREADY_RUNNING', 'SERVICE_SUSPENDED', 'CONFLICT'],
  handle: async ({ client, input }) => {
    const { runId } = await client.runs.start(input.job_id, { allowEmpty: input.allow_empty });
    return { run_id: runId, run_uuid: runId };
  },
});
