import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { formatBytes } from '../src/events/units.ts';
import { Cursor, JobId, limit } from '../src/protocol/fields.ts';
import { SnapshotView } from '../src/protocol/run.ts';

/**
 * The restore points of a job by the names that programs for its snapshots use, newest first; of a deleted job too, as long as its data is
 * there. Restores and other runs are not among them.
 */
export default endpoint({
  name: 'cloudbackup_list_snapshots',
  method: 'GET',
  caller: 'client',
  input: z.object({ job_id: JobId, cursor: Cursor, limit: limit({ fallback: 100, max: 200 }) }),
  output: z.object({ snapshots: z.array(SnapshotView), next: z.string().nullable() }),
  errors: ['JOB_NOT_FOUND'],
  handle: async ({ client, input: { job_id: jobId, cursor, limit: most } }) => {
    const { rows, next } = await client.points.list({ jobId, cursor, limit: most });
    const snapshots = rows.map((point) => ({
      ...point,
      manifest_id: point.point_id,
      size_bytes: point.bytes,
      size_human: formatBytes(point.bytes),
      file_count: point.files,
    }));
    return { snapshots, next };
  },
});
