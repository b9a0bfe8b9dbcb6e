import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { JobId } from '../src/protocol/fields.ts';

/** Takes back a retention that keeps less, while it waits for its cool-off. What is in force stays in force. */
export default endpoint({
  name: 'cloudbackup_undo_retention',
  method: 'POST',
  caller: 'client',
  input: z.object({ job_id: JobId }),
  output: z.object({ undone: z.boolean(), message: z.string() }),
  errors: ['JOB_NOT_FOUND'],
  handle: async ({ client, input }) => {
    const { undone } = await client.retention.undo(input.job_id);
    return { undone, message: undone ? 'Nothing is changed: what was kept stays.' : 'No change was waiting.' };
  },
});
