import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { JobId } from '../src/protocol/fields.ts';

/**
 * Queues a restore test now: some files of the newest restore point, chosen at random, and one that is read every time, are read back
 * whole and compared with what was backed up. Nothing is written; it may run beside a backup.
 */
export default endpoint({
  name: 'cloudbackup_start_drill',
  method: 'POST',
  caller: 'client',
  input: z.object({ job_id: JobId }),
  output: z.object({ run_id: z.string(), run_uuid: z.string(), message: z.string() }),
  errors: ['JOB_NOT_FOUND', 'POINT_NOT_FOUND', 'ALREADY_RUNNING', 'SERVICE_SUSPENDED', 'CONFLICT'],
  handle: async ({ client, input }) => {
    const { runId } = await client.proofs.startDrill(input.job_id);
    return { run_id: runId, run_uuid: runId, message: 'The restore test is queued.' };
  },
});
