import { z } from 'zod';
import { BackupError } from '../../errors/backup-error.ts';
import { RunId } from '../../protocol/fields.ts';
import { page, view } from '../page.ts';
import { pointRow } from './rows.ts';

/** Asks where the restore point of a run goes: a bucket and a folder outside of every job; all of it or one folder. */
export const restorePage = page({
  path: '/runs/:run_id/restore',
  caller: 'client',
  section: '/runs',
  params: z.object({ run_id: RunId }),
  handle: async ({ client, params, request }) => {
    const [run, buckets] = await Promise.all([client.runs.get(params.run_id), client.buckets.list()]);
    if (run.point?.state !== 'kept') throw new BackupError('POINT_NOT_FOUND');
    return view('pages/restore.njk', {
      run: { id: run.run_id, jobId: run.job_id, jobName: run.job_name },
      point: pointRow(run.point),
      buckets,
      suggestion: suggestedPrefix(run.job_name, run.point.created_at_epoch_ms ?? request.now),
    });
  },
});

/** `restore/web-server-2025-11-04/`: readable, and hardly ever taken. */
function suggestedPrefix(jobName: string, at: number): string {
  const name = jobName
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
  return `restore/${name === '' ? 'job' : name}-${new Date(at).toISOString().slice(0, 10)}/`;
}
