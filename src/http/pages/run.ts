import { z } from 'zod';
import { isBackupError } from '../../errors/backup-error.ts';
import type { ClientServices } from '../../jobs/client.ts';
import { RunId } from '../../protocol/fields.ts';
import type { EventView, ProgressView, RestoreView, RunView } from '../../protocol/run.ts';
import { page, view } from '../page.ts';
import { eventRow } from './event-rows.ts';
import { runFilesModel, runFilesQuery } from './run-files.ts';
import { movedWord, runKindText, runPercent, runSays, runState, validationState } from './run-words.ts';
import { speedPlot } from './speed-plot.ts';

const params = z.object({ run_id: RunId });

/** Events that are read for one view: the newest. Speeds for the plot are among them. */
const READ_EVENTS = 1000;
const SHOWN_EVENTS = 100;

/**
 * One run: live while it is under way, its report afterwards. The part that changes is a template of its own; the browser asks for
 * it every two seconds until the run is over.
 */
export const runPage = page({
  path: '/runs/:run_id',
  caller: 'client',
  section: '/runs',
  params,
  query: z.object({ events: z.enum(['all']).optional(), ...runFilesQuery }),
  handle: async ({ client, params: { run_id: runId }, query, request }) => {
    const { run, progress, events } = await readRun(client, runId);
    const model = {
      jobIsThere: !progress.terminal || (await isThere(client, run.job_id)),
      files: progress.terminal ? await runFilesModel(client, runId, query) : null,
      validationLog: await validationLog(client, run, progress),
      ...runModel(run, progress, events, { now: request.now, all: query.events === 'all' }),
      here: `/runs/${runId}`,
    };
    // Scripts take the token from the page's head: without it, a part that has not changed is the same to the byte.
    return request.whole ? view('pages/run.njk', model) : view('partials/run_live.njk', { ...model, csrf: '' });
  },
});

/** A deleted job has runs still, but cannot run again. */
async function isThere(client: ClientServices, jobId: string): Promise<boolean> {
  try {
    await client.jobs.get(jobId);
    return true;
  } catch (error) {
    if (isBackupError(error, 'JOB_NOT_FOUND')) return false;
    throw error;
  }
}

async function readRun(
  client: ClientServices,
  runId: string,
): Promise<{ run: RunView; progress: ProgressView; events: EventView[] }> {
  const [run, progress] = await Promise.all([client.runs.get(runId), client.runs.progress(runId)]);
  const sinceId = Math.max(0, progress.last_event_id - READ_EVENTS);
  return { run, progress, events: await client.runs.events(runId, { sinceId, limit: READ_EVENTS }) };
}

/** What the validation of a backup found, in a few lines; the validation's own page has its report. */
async function validationLog(client: ClientServices, run: RunView, progress: ProgressView): Promise<string | null> {
  if (run.kind !== 'backup' || !progress.terminal || progress.validation_status === 'not_run') return null;
  return (await client.proofs.validationOf(run.run_id)).excerpt;
}

function runModel(
  run: RunView,
  progress: ProgressView,
  events: readonly EventView[],
  { now, all }: { now: number; all: boolean },
) {
  const told = events.filter((event) => event.type !== 'progress').reverse();
  const shown = all ? told : told.slice(0, SHOWN_EVENTS);
  const started = progress.started_at_epoch_ms;
  return {
    run: {
      id: run.run_id,
      jobId: run.job_id,
      jobName: run.job_name,
      kind: runKindText(run),
      state: runState({ ...run, status: progress.status, stopping: progress.stopping }),
      says: saysOf(run, progress),
      percent: runPercent(progress),
      terminal: progress.terminal,
      stopping: progress.stopping,
      forced: progress.cancel_forced,
      backup: run.kind === 'backup',
      validation: validationState(progress.validation_status),
      problem: progress.problem,
      retryAt: progress.status === 'queued' && progress.attempt > 0 ? progress.not_before_epoch_ms : null,
      item: progress.terminal || progress.phase !== 'copying' ? null : progress.current_item,
      createdAt: progress.created_at_epoch_ms,
      startedAt: started,
      finishedAt: progress.finished_at_epoch_ms,
      tookMs: run.duration_ms,
      attempt: progress.attempt > 1 ? `${progress.attempt} of ${progress.max_attempts}` : null,
    },
    figures: {
      /** Before it copies, a run has nothing to count. */
      shown: progress.terminal || progress.bytes_total > 0 || progress.files_done > 0,
      filesDone: progress.files_done,
      filesTotal: progress.files_total,
      bytesDone: progress.bytes_transferred,
      bytesTotal: progress.bytes_total,
      bytesWord: movedWord(run.kind),
      speed: progress.phase === 'copying' && progress.speed_bytes_per_sec > 0 ? progress.speed_bytes_per_sec : null,
      meanSpeed: meanSpeed(progress, run.duration_ms),
      etaSeconds: progress.status === 'running' ? progress.eta_seconds : null,
    },
    restore: run.restore === undefined ? null : restoreModel(run.restore),
    point:
      run.point?.state === 'kept' ? { id: run.point.point_id, files: run.point.files, bytes: run.point.bytes } : null,
    plot: speedPlot(events, copies(progress) ? { at: now, speed: progress.speed_bytes_per_sec } : null),
    events: shown.map(eventRow),
    moreEvents: told.length - shown.length,
  };
}

/** A dry run that is over has copied nothing, which is no news about the files. */
function saysOf(run: RunView, progress: ProgressView): string {
  const tried = run.restore?.dry_run === true && (progress.status === 'success' || progress.status === 'warning');
  return tried ? 'Dry run complete: nothing was written' : runSays(progress);
}

const overwriteWords = {
  never: 'Left as they are',
  if_newer: 'Replaced where the backed-up version is newer',
  always: 'Replaced',
} as const;

/** What a restore takes from where to where, and what it did. */
function restoreModel(restore: RestoreView) {
  const { counts } = restore;
  return {
    from: restore.point_id,
    to: restore.target_text,
    source: restore.target === 'source',
    paths: restore.paths,
    morePaths: restore.path_count - restore.paths.length,
    existing: overwriteWords[restore.overwrite],
    dryRun: restore.dry_run,
    counts:
      counts === null
        ? null
        : {
            created: counts.created,
            overwritten: counts.overwritten,
            skipped: counts.skipped,
            bytes: counts.bytes_to_write,
            exact: counts.exact,
            sizeOnly: counts.size_only,
            problems: counts.problems,
          },
  };
}

/** Under way, and past the first byte. */
function copies(progress: ProgressView): boolean {
  return !progress.terminal && progress.phase === 'copying' && progress.bytes_transferred > 0;
}

/** Bytes per second over the whole run, once it is over and long enough to say so. */
function meanSpeed(progress: ProgressView, tookMs: number | null): number | null {
  if (!progress.terminal || tookMs === null || tookMs < 1000 || progress.bytes_transferred === 0) return null;
  return (progress.bytes_transferred / tookMs) * 1000;
}
