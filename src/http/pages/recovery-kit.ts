import { z } from 'zod';
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
    const { name, bucket, prefix, kitAt, deleted } = await client.recovery.about(jobId);
    return view('pages/recovery_kit.njk', {
      job: { id: jobId, name, destination: destinationText(bucket, prefix) },
      kitAt,
      deleted,
      byPassword: client.recovery.confirmation === 'password',
    });
  },
});
