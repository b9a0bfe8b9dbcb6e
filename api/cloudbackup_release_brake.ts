import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { JobId } from '../src/protocol/fields.ts';

/** Lets old restore points be removed by schedule again, after unusually many changes had stopped that. */
export default endpoint({
  name: 'cloudbackup_release_brake',
  method: 'POST',
  caller: 'client',
  input: z.object({ job_id: JobId }),
  output: z.object({ released: z.boolean(), message: z.string() }),
  errors: ['JOB_NOT_FOUND'],
  handle: async ({ client, input }) => {
    const { released } = await client.jobs.releaseBrake(input.job_id);
    const message = released ? 'Old restore points are removed by schedule again.' : 'Nothing was stopped.';
    return { released, message };
  },
});
