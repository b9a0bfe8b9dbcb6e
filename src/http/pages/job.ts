import { z } from 'zod';
import { isBackupError } from '../../errors/backup-error.ts';
import type { ClientServices } from '../../jobs/client.ts';
import { Cursor, JobId, PointId } from '../../protocol/fields.ts';
import type { JobCard, SourceView } from '../../protocol/job.ts';
import { formatDuration } from '../format.ts';
import { page, redirectTo, view } from '../page.ts';
import { jobModel } from './job-model.ts';
import { historyModel, retentionModel } from './retention.ts';
import { proofsModel } from './proofs.ts';
import { pointRow, runRow } from './rows.ts';
import { storedText } from './words.ts';

const params = z.object({ job_id: JobId });

/** One job: is it safe, its last 30 days, its runs and restore points, each list paged by key. */
export const jobPage = page({
  path: '/jobs/:job_id',
  caller: 'client',
  section: '/jobs',
  params,
  query: z.object({ runs: Cursor, points: Cursor, point: PointId.optional() }),
  handle: async ({ client, params: { job_id: jobId }, query, request }) => {
    const card = await client.jobs
      .card(jobId)
      .catch(async (error: unknown) => await nullIfDeleted(client, jobId, error));
    // Its runs and restore points have pages that lead here.
    if (card === null) return redirectTo('/jobs/deleted');
    const [{ source }, runs, points, history, service] = await Promise.all([
      client.jobs.get(jobId),
      client.runs.list({ jobId, cursor: query.runs, limit: 20 }),
      client.points.list({ jobId, cursor: query.points, limit: 10 }),
      client.retention.history(jobId),
      client.serviceState(),
    ]);
    return view('pages/job.njk', {
      service,
      job: jobModel(card, request.now, request.timezone),
      facts: factsOf(card, source),
      banners: bannersOf(card, source),
      runs: { rows: runs.rows.map(runRow), next: runs.next, first: query.runs === undefined },
      proofs: await proofsModel(client, card),
      history: historyModel(history, request.now, request.timezone, query.point),
      retention: retentionModel(card),
      points: { rows: points.rows.map(pointRow), next: points.next, first: query.points === undefined },
      live: card.last_run !== null && card.last_run.finished_at_epoch_ms === null,
    });
  },
});

/** Null for a job that was deleted; throws what was thrown for one that does not exist. */
async function nullIfDeleted(client: ClientServices, jobId: string, error: unknown): Promise<null> {
  if (!isBackupError(error, 'JOB_NOT_FOUND')) throw error;
  await client.runs.list({ jobId, limit: 1 });
  return null;
}

/** Asks before a job goes: what becomes of its data is said there. */
export const deleteJobPage = page({
  path: '/jobs/:job_id/delete',
  caller: 'client',
  section: '/jobs',
  params,
  handle: async ({ client, params: { job_id: jobId }, request }) => {
    const [card, grace] = await Promise.all([client.jobs.card(jobId), client.retention.graceMs()]);
    return view('pages/job_delete.njk', {
      job: jobModel(card, request.now, request.timezone),
      grace: grace === 0 ? 'the next maintenance' : formatDuration(grace).replace(/ d$/, ' days'),
    });
  },
});

/** What somebody has to decide about. */
function bannersOf(job: JobCard, source: SourceView): object {
  const failed = job.last_run?.status === 'failed' ? job.last_run.problem : null;
  const trouble = job.connection_trouble;
  // What the account's own banner says need not be said twice.
  const told = source.host_key.seen !== null || (trouble !== null && byConnection.has(failed?.code ?? ''));
  return {
    connection: trouble,
    hostKey: source.host_key.seen === null ? null : { pinned: source.host_key.pinned, seen: source.host_key.seen },
    frozen:
      job.frozen === null
        ? null
        : {
            at: job.frozen.at_epoch_ms,
            runId: job.frozen.run_id,
            what: freezeReasons[job.frozen.reason] ?? 'something unusual was seen',
            percent: job.brake_percent,
          },
    kit: job.encryption_enabled && job.recovery_kit_at_epoch_ms === null,
    dataDeleteAt: job.data_delete_at_epoch_ms,
    empty: failed?.code === 'ERR_SOURCE_EMPTY' ? failed : null,
    failed: failed !== null && failed.code !== 'ERR_SOURCE_EMPTY' && !told ? failed : null,
    failedRun: job.last_run?.run_id ?? null,
  };
}

/** Failures of runs whose reason is that the account has to be authorized again. */
const byConnection: ReadonlySet<string> = new Set([
  'ERR_GDRIVE_REFRESH_PRECHECK',
  'ERR_GDRIVE_NO_REFRESH_TOKEN',
  'ERR_DROPBOX_REFRESH_PRECHECK',
  'ERR_DROPBOX_NO_REFRESH_TOKEN',
]);

const freezeReasons: Readonly<Record<string, string>> = {
  brake: 'a run found an unusual share of the files deleted or changed',
  empty_source: 'a run was started although the source listed no files',
  rolled_forward: 'a run was completed from what an interrupted attempt had written',
  reindexed:
    'the list of restore points was made anew from the bucket, and the newest of them was made while old ones were held back',
};

function factsOf(job: JobCard, source: SourceView): object {
  return {
    fingerprint: source.host_key.pinned,
    schedule: job.schedule_summary,
    stored: storedText(job),
    encrypted: job.encryption_enabled,
    kitAt: job.recovery_kit_at_epoch_ms,
    attempts: job.max_attempts,
    recipients: job.notify_override_email,
    mails: [
      { word: 'success', on: job.notify_on_success },
      { word: 'warning', on: job.notify_on_warning },
      { word: 'failure', on: job.notify_on_failure },
    ]
      .filter(({ on }) => on === true)
      .map(({ word }) => word),
    mailsByDefault: [job.notify_on_success, job.notify_on_warning, job.notify_on_failure].every((on) => on === null),
    createdAt: job.created_at_epoch_ms,
  };
}
