import { z } from 'zod';
import { Cursor } from '../../protocol/fields.ts';
import type { DeletedJobView } from '../../protocol/retention.ts';
import { page, view } from '../page.ts';
import { destinationText } from './words.ts';

/** Deleted jobs whose data is still there: what becomes of it, and the way back. */
export const deletedJobsPage = page({
  path: '/jobs/deleted',
  caller: 'client',
  section: '/jobs',
  query: z.object({ cursor: Cursor }),
  handle: async ({ client, query }) => {
    const { rows, next } = await client.retention.deleted({ cursor: query.cursor });
    return view('pages/deleted_jobs.njk', {
      jobs: { rows: rows.map(deletedRow), next, first: query.cursor === undefined },
    });
  },
});

const states = {
  kept: { kind: 'idle', word: 'Kept' },
  ending: { kind: 'warning', word: 'Your service has ended: goes' },
  grace: { kind: 'warning', word: 'Goes' },
  deleting: { kind: 'running', word: 'Being removed' },
} as const;

function deletedRow(job: DeletedJobView) {
  return {
    id: job.job_id,
    name: job.name,
    destination: destinationText(job.dest_bucket_name, job.dest_prefix),
    stored: job.stored_bytes,
    encrypted: job.encryption_enabled,
    restorable: job.data_state !== 'deleting' && job.stored_bytes > 0,
    state: states[job.data_state],
    deletedAt: job.deleted_at_epoch_ms,
    deleteAt: job.data_delete_at_epoch_ms,
    mayReturn: job.data_state === 'kept' || job.data_state === 'grace',
    mayGo: job.data_state === 'kept' || job.data_state === 'ending',
  };
}
