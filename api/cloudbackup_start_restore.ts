import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { HostRowId, PointId } from '../src/protocol/fields.ts';
import { Path } from '../src/protocol/job-input.ts';

/**
 * Queues a restore of a point, or of one folder of it, into a folder of a bucket of the client. The folder must lie outside of every
 * backup job. Allowed while the service is suspended, and beside a backup run.
 */
export default endpoint({
  name: 'cloudbackup_start_restore',
  method: 'POST',
  caller: 'client',
  input: z.object({
    point_id: PointId,
    folder: Path(1024).default(''),
    dest_bucket_id: HostRowId,
    dest_prefix: Path(512),
  }),
  output: z.object({ run_id: z.string(), run_uuid: z.string(), restore_run_id: z.string(), message: z.string() }),
  errors: ['POINT_NOT_FOUND', 'BUCKET_NOT_FOUND', 'ERR_RESTORE_TARGET', 'CONFLICT'],
  handle: async ({ client, input }) => {
    const { runId } = await client.runs.restore({
      pointId: input.point_id,
      folder: input.folder,
      bucketId: input.dest_bucket_id,
      prefix: input.dest_prefix,
    });
    return { run_id: runId, run_uuid: runId, restore_run_id: runId, message: 'The restore is queued.' };
  },
});
