import { z } from 'zod';
import { BackupError } from '../src/errors/backup-error.ts';
import { invalidFields } from '../src/errors/invalid-fields.ts';
import { endpoint } from '../src/http/endpoint.ts';
import type { RestoreRequest } from '../src/jobs/client.ts';
import { flag, HostRowId, JobId, Moment, PathList, PointId } from '../src/protocol/fields.ts';
import { Path } from '../src/protocol/job-input.ts';
import { overwriteModes } from '../src/protocol/run-options.ts';

const Input = z.object({
  point_id: PointId.optional(),
  job_id: JobId.optional(),
  moment: Moment.optional(),
  paths: PathList.optional(),
  selected_paths: PathList.optional(),
  folder: Path(1024).optional(),
  target: z.enum(['bucket', 'source'], { error: 'must be bucket or source' }).default('bucket'),
  dest_bucket_id: HostRowId.optional(),
  dest_prefix: Path(512).optional(),
  overwrite: z.enum(overwriteModes, { error: `must be ${overwriteModes.join(', ')}` }).default('never'),
  dry_run: flag().default(false),
});

/**
 * Queues a restore of a point (`point_id`), or of the newest one of a job that is not later than a moment (`job_id` and `moment`):
 * all of it, or the files and folders in `paths` (a JSON list, or the field several times; `folder` for a single one). It goes into a
 * folder of a bucket of the client that lies outside of every backup job, or with `target` `source` back to where the job backs up
 * from. `overwrite` says what becomes of files that are there already; with `dry_run` nothing is written, and the run tells what would
 * be. Allowed while the service is suspended, and beside a backup run.
 */
export default endpoint({
  name: 'cloudbackup_start_restore',
  method: 'POST',
  caller: 'client',
  input: Input,
  output: z.object({ run_id: z.string(), run_uuid: z.string(), restore_run_id: z.string(), message: z.string() }),
  errors: [
    'POINT_NOT_FOUND',
    'JOB_NOT_FOUND',
    'BUCKET_NOT_FOUND',
    'ERR_RESTORE_TARGET',
    'ERR_DECRYPT_SOURCE_CONFIG',
    'CONFLICT',
  ],
  handle: async ({ client, input }) => {
    const { runId } = await client.runs.restore({
      from: await fromOf(input, async (pointId) => (await client.points.get(pointId)).job_id),
      paths: [
        ...(input.paths ?? []),
        ...(input.selected_paths ?? []),
        // The older field takes slashes at both ends.
        ...(input.folder === undefined ? [] : [input.folder.replace(/^\/+/, '')]),
      ],
      target: targetOf(input),
      overwrite: input.overwrite,
      dryRun: input.dry_run,
    });
    const message = input.dry_run ? 'The dry run is queued.' : 'The restore is queued.';
    return { run_id: runId, run_uuid: runId, restore_run_id: runId, message };
  },
});

type Given = z.output<typeof Input>;

async function fromOf(
  { point_id: pointId, job_id: jobId, moment }: Given,
  jobOf: (pointId: string) => Promise<string>,
): Promise<RestoreRequest['from']> {
  if (pointId !== undefined) {
    if (jobId !== undefined && (await jobOf(pointId)) !== jobId) throw new BackupError('POINT_NOT_FOUND');
    return { pointId };
  }
  if (jobId !== undefined && moment !== undefined) return { jobId, moment };
  throw invalidFields([['point_id', 'is missing; or give job_id and moment']]);
}

function targetOf({ target, dest_bucket_id: bucketId, dest_prefix: prefix }: Given): RestoreRequest['target'] {
  if (target === 'source') return { kind: 'source' };
  if (bucketId === undefined) throw invalidFields([['dest_bucket_id', 'is missing']]);
  if (prefix === undefined) throw invalidFields([['dest_prefix', 'is missing']]);
  return { kind: 'bucket', bucketId, prefix };
}
