import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { limit, number, RunId } from '../src/protocol/fields.ts';
import { EventView } from '../src/protocol/run.ts';

/** What a run has told, in order. `since_id` is the `id` of the last event that is known already. */
export default endpoint({
  name: 'cloudbackup_get_run_events',
  method: 'GET',
  caller: 'client',
  input: z.object({
    run_id: RunId,
    since_id: number({ min: 0, max: Number.MAX_SAFE_INTEGER }).default(0),
    limit: limit({ fallback: 250, max: 1000 }),
  }),
  output: z.object({ events: z.array(EventView) }),
  errors: ['RUN_NOT_FOUND'],
  handle: async ({ client, input }) => ({
    events: await client.runs.events(input.run_id, { sinceId: input.since_id, limit: input.limit }),
  }),
});
