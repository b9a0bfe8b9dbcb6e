import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { JobId } from '../src/protocol/fields.ts';
import { retentionFields } from '../src/protocol/job-input.ts';
import { RetentionPreview } from '../src/protocol/retention.ts';

/**
 * What a retention would do to a job's restore points as they are now: which go, how many bytes come back at least, what is kept and
 * why. Changes nothing. Without fields of a retention: what waits for its cool-off, else what is in force.
 */
export default endpoint({
  name: 'cloudbackup_preview_retention',
  method: 'GET',
  caller: 'client',
  input: z.object({ job_id: JobId, ...retentionFields }),
  output: RetentionPreview,
  errors: ['JOB_NOT_FOUND'],
  handle: async ({ client, input: { job_id: jobId, ...retention } }) =>
    await client.retention.preview(jobId, retention),
});
