import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { JobId, PointId } from '../src/protocol/fields.ts';

/**
 * Queues a validation now: every object of the newest restore point, or of another one, is compared with what was backed up, and of the
 * newest one the source too. Refused while another run of the job is queued or running; a backup that becomes due takes its place.
 */
export default endpoint({
  name: 'cloudbackup_start_validation',
  method: 'POST',
  caller: 'client',
  input: z.object({ job_id: JobId, point_id: PointId.optional() }),
  output: z.object({ run_id: z.string(), run_uuid: z.string(), message: z.string() }),
  errors: ['JOB_NOT_FOUND', 'POINT_NOT_FOUND', 'ALREADY_RUNNING', 'SERVICE_SUSPENDED', 'CONFLICT'],
  handle: async ({ client, input }) => {
    const { runId } = await client.proofs.startValidation(input.job_id, { pointId: input.point_id });
    return { run_id: runId, run_uuid: runId, message: 'The validation is queued.' };
  },
});
