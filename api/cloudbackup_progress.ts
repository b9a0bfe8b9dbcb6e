import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { RunId } from '../src/protocol/fields.ts';
import { ProgressView } from '../src/protocol/run.ts';

/** How a run gets on. Meant to be polled: with the ETag of the last answer in `If-None-Match` it is 304 while nothing has changed. */
export default endpoint({
  name: 'cloudbackup_progress',
  method: 'GET',
  caller: 'client',
  etag: true,
  input: z.object({ run_id: RunId }),
  output: z.object({ run: ProgressView }),
  errors: ['RUN_NOT_FOUND'],
  handle: async ({ client, input }) => ({ run: await client.runs.progress(input.run_id) }),
});
