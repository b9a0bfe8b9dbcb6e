import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { AdminRunView } from '../src/protocol/admin.ts';
import { Cursor, HostRowId, limit } from '../src/protocol/fields.ts';
import { RunStatusField } from '../src/protocol/run.ts';

/** Runs of all clients, newest first. */
export default endpoint({
  name: 'admin_list_runs',
  method: 'GET',
  caller: 'admin',
  input: z.object({
    client_id: HostRowId.optional(),
    status: RunStatusField.optional(),
    cursor: Cursor,
    limit: limit({ fallback: 50, max: 200 }),
  }),
  output: z.object({ runs: z.array(AdminRunView), next: z.string().nullable() }),
  errors: [],
  handle: async ({ admin, input: { client_id: clientId, ...query } }) => {
    const { rows, next } = await admin.listRuns({ clientId, ...query });
    return { runs: rows, next };
  },
});
