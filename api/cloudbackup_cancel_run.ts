import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { flag, RunId } from '../src/protocol/fields.ts';

/**
 * Cancels a run. A queued one ends at once; a running one stops what it is doing, which may take some seconds (`stopping`).
 * `force` stops it without waiting for the transfer program.
 */
export default endpoint({
  name: 'cloudbackup_cancel_run',
  method: 'POST',
  caller: 'client',
  input: z.object({ run_id: RunId, force: flag().default(false) }),
  output: z.object({ run_id: z.string(), outcome: z.enum(['cancelled', 'stopping']), message: z.string() }),
  errors: ['RUN_NOT_FOUND', 'RUN_NOT_CANCELLABLE'],
  handle: async ({ client, input }) => {
    const { status } = await client.runs.cancel(input.run_id, { force: input.force });
    const message = status === 'cancelled' ? 'The run was cancelled.' : 'The run is being stopped.';
    return { run_id: input.run_id, outcome: status, message };
  },
});
