import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { WorkerView } from '../src/protocol/admin.ts';

/** Workers that were seen within the last week, with what they are doing. */
export default endpoint({
  name: 'admin_list_workers',
  method: 'GET',
  caller: 'admin',
  input: z.object({}),
  output: z.object({ workers: z.array(WorkerView) }),
  errors: [],
  handle: async ({ admin }) => ({ workers: await admin.listWorkers() }),
});
