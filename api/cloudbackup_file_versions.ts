import { z } from 'zod';
import { readingErrors } from '../src/browse/reading-errors.ts';
import { endpoint } from '../src/http/endpoint.ts';
import { PointPath, VersionsView } from '../src/protocol/browse.ts';
import { Cursor, JobId, limit } from '../src/protocol/fields.ts';

/** The versions of one file in the kept restore points of a job, the newest first. `limit` counts the points that are looked into. */
export default endpoint({
  name: 'cloudbackup_file_versions',
  method: 'GET',
  caller: 'client',
  rate: 'browse',
  input: z.object({
    job_id: JobId,
    path: PointPath.refine((path) => path !== '', { error: 'must not be empty' }),
    cursor: Cursor,
    limit: limit({ fallback: 100, max: 400 }),
  }),
  output: VersionsView,
  errors: ['JOB_NOT_FOUND', ...readingErrors],
  handle: async ({ client, input: { job_id: jobId, path, cursor, limit: most } }) =>
    await client.browse.versions({ jobId, path, cursor, limit: most }),
});
