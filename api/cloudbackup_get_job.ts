import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { JobId } from '../src/protocol/fields.ts';
import { JobView, SourceView } from '../src/protocol/job.ts';

/** One job with the settings of its source. Secrets are never part of the answer, only whether they are set. */
export default endpoint({
  name: 'cloudbackup_get_job',
  method: 'GET',
  caller: 'client',
  input: z.object({ job_id: JobId }),
  output: z.object({ job: JobView, source: SourceView }),
  errors: ['JOB_NOT_FOUND'],
  handle: async ({ client, input }) => await client.jobs.get(input.job_id),
});
