import { z } from 'zod';
import { BackupError } from '../../errors/backup-error.ts';
import { JobId } from '../../protocol/fields.ts';
import { page, view } from '../page.ts';
import { destinationText } from './words.ts';

/** What the recovery kit of an encrypted job is for, and the download of it, which has to be confirmed afresh. */
export const recoveryKitPage = page({
  path: '/jobs/:job_id/recovery-kit',
  caller: 'client',
  section: '/jobs',
  params: z.object({ job_id: JobId }),
  handle: async ({ client, params: { job_id: jobId } }) => {
    const { job } = await client.jobs.get(jobId);
    if (!job.encryption_enabled) throw new BackupError('NOT_ENCRYPTED');
    return view('pages/recovery_kit.njk', {
      job: { id: jobId, name: job.name, destination: destinationText(job.dest_bucket_name, job.dest_prefix) },
      kitAt: job.recovery_kit_at_epoch_ms,
      byPassword: client.recovery.confirmation === 'password',
    });
  },
});
