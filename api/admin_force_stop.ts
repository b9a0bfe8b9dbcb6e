import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { RunId } from '../src/protocol/fields.ts';

/** Stops a run of any client by force. A queued one ends at once; a running one is shown as stopping until its worker has confirmed. */
export default endpoint({
  name: 'admin_force_stop',
  method: 'POST',
  caller: 'admin',
  input: z.object({ run_id: RunId }),
  output: z.object({ run_id: z.string(), outcome: z.enum(['cancelled', 'stopping']), message: z.string() }),
  errors: ['RUN_NOT_FOUND', 'RUN_NOT_CANCELLABLE'],
  handle: async ({ admin, input }) => {
    const { status } = await admin.forceStop(input.run_id);
    const message = status === 'cancelled' ? 'The run was cancelled.' : 'The run is being stopped.';
    return { run_id: input.run_id, outcome: status, message };
  },
});
