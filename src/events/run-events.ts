import { z } from 'zod';
import { catalogue as errors, type ErrorCode } from '../errors/catalogue.ts';
import { define, type Show } from './define.ts';

const count = z.number().nonnegative();
const none = z.object({});
const epochMs = z.number();
const word = z.string().max(128);
const pathText = z.string();

const destination = z.object({
  source_bucket: z.string().optional(),
  source_prefix_trunc: pathText.optional(),
  dest_bucket: z.string().optional(),
  dest_prefix_trunc: pathText.optional(),
});

const completed = z.object({
  status: word.optional(),
  files_transferred: count.optional(),
  bytes_transferred: count.optional(),
  duration_seconds: count.optional(),
  code: word.optional(),
});

function outcome(first: string) {
  return (params: z.output<typeof completed>, show: Show): string => {
    const parts = [
      ...(params.files_transferred === undefined ? [] : [show.many(params.files_transferred, 'file')]),
      ...(params.bytes_transferred === undefined ? [] : [show.bytes(params.bytes_transferred)]),
      ...(params.duration_seconds === undefined ? [] : [`in ${show.duration(params.duration_seconds)}`]),
    ];
    // The error itself is an event of its own, right before this one.
    return params.files_transferred === undefined ? first : `${first} ${parts.join(', ')}.`;
  };
}

const skipReasons = {
  overlap: 'the run before it was still active',
  missed: 'the scheduler was not running, and this job does not catch up missed runs',
  suspended: 'the storage service of this account is suspended',
  schedule: 'the schedule of the job is not valid',
} as const;

const destinationText = ({ dest_bucket, dest_prefix_trunc }: z.output<typeof destination>, show: Show): string =>
  dest_bucket === undefined
    ? 'Starting backup.'
    : `Starting backup to ${show.path(`${dest_bucket}/${dest_prefix_trunc ?? ''}`)}.`;

/** Runs of every kind: queue, start, progress, end, what became of the attempt. */
export const lifeEvents = {
  BACKUP_QUEUED: define('info', 'info', z.object({ trigger: word.optional() }), 'Backup queued.'),
  VALIDATION_QUEUED: define('info', 'info', none, 'Validation queued.'),
  MAINTENANCE_QUEUED: define('info', 'info', none, 'Maintenance queued.'),
  DRILL_QUEUED: define('info', 'info', none, 'Restore test queued.'),
  CATCH_UP: define('info', 'info', z.object({ missed: count, first_slot_at: epochMs, slot_at: epochMs }), (p, show) =>
    p.missed <= 1
      ? `This run makes up for the one that was due ${show.time(p.slot_at)}.`
      : `This run makes up for ${show.count(p.missed)} that were due since ${show.time(p.first_slot_at)}.`,
  ),
  SLOT_SKIPPED: define(
    'summary',
    'warn',
    z.object({
      reason: z.enum(['overlap', 'missed', 'suspended', 'schedule']),
      missed: count,
      first_slot_at: epochMs,
      slot_at: epochMs,
      /** uuid of the run that was active. */
      run: word.optional(),
    }),
    (p, show) =>
      p.missed <= 1
        ? `Skipped: ${skipReasons[p.reason]}.`
        : `Skipped ${show.count(p.missed)} runs that were due since ${show.time(p.first_slot_at)}: ${skipReasons[p.reason]}.`,
    (p) =>
      ({
        overlap: 'ERR_SLOT_OVERLAP',
        missed: 'ERR_SLOT_MISSED',
        suspended: 'SERVICE_SUSPENDED',
        schedule: 'ERR_SCHEDULE_INVALID',
      })[p.reason],
  ),
  QUEUE_EXPIRED: define('error', 'error', none, 'No worker took the run in time.', () => 'ERR_QUEUE_EXPIRED'),
  BACKUP_STARTING: define('start', 'info', destination, destinationText),
  SCANNING_SOURCE: define('info', 'info', none, 'Scanning source for changes…'),
  PROGRESS_UPDATE: define(
    'progress',
    'info',
    z.object({
      files_done: count,
      files_total: count,
      pct: z.number(),
      bytes_done: count,
      bytes_total: count,
      speed_bps: count,
      eta_seconds: count.nullable(),
    }),
    'Transferred {files_done:count} of {files_total:count} files ({pct:percent}), {bytes_done:bytes}/{bytes_total:bytes} at {speed_bps:speed}, ETA {eta_seconds:duration}.',
  ),
  SUMMARY_TOTAL: define('info', 'info', z.object({ bytes_done: count }), 'Total transferred: {bytes_done:bytes}.'),
  NO_CHANGES: define('summary', 'info', none, 'Backup completed — no files to transfer.'),
  COMPLETED_SUCCESS: define('summary', 'info', completed, outcome('Backup completed successfully.')),
  COMPLETED_WARNING: define('summary', 'warn', completed, outcome('Backup completed with warnings.')),
  COMPLETED_PARTIAL: define('summary', 'warn', completed, outcome('Backup completed, but some sources failed.')),
  COMPLETED_FAILED: define('summary', 'error', completed, outcome('Backup failed.'), (p) => p.code),
  CANCEL_REQUESTED: define('info', 'info', z.object({ forced: z.boolean().optional() }), (p) =>
    p.forced ? 'Forced stop requested — stopping…' : 'Cancellation requested — stopping the backup…',
  ),
  CANCELLED: define('cancelled', 'warn', none, 'Backup cancelled.'),
  VALIDATION_START: define('info', 'info', none, 'Starting validation check.'),
  VALIDATION_SUCCESS: define('summary', 'info', none, 'Validation: all files verified.'),
  VALIDATION_FAILED: define(
    'summary',
    'error',
    z.object({ code: word.optional() }),
    (p) =>
      p.code === undefined || p.code === 'ERR_VALIDATION_DIFFERS'
        ? 'Validation: differences detected.'
        : 'Validation could not be finished.',
    (p) => p.code,
  ),
  VALIDATION_CANCELLED: define('cancelled', 'warn', none, 'Validation cancelled.'),
  VALIDATION_UNVERIFIED: define(
    'warning',
    'warn',
    z.object({ files: count }),
    (p, show) =>
      `Validation: ${show.many(p.files, 'file')} could be compared by size only, because no checksum is known.`,
  ),
  RUN_REQUEUED: define(
    'warning',
    'warn',
    z.object({ code: word, attempt: count, max: count, not_before: epochMs.optional() }),
    (p, show) => {
      const error = errors[p.code as ErrorCode] as { what: string } | undefined;
      const when =
        p.not_before === undefined ? 'It is tried again' : `It is tried again after ${show.time(p.not_before)}`;
      return `${error?.what ?? 'The attempt failed.'} ${when} (attempt ${show.count(p.attempt)} of ${show.count(p.max)} failed).`;
    },
    (p) => p.code,
  ),
  RUN_HANDED_BACK: define(
    'info',
    'info',
    none,
    'The worker is being restarted. The run goes on as soon as a worker is free.',
  ),
  RUN_TAKEN_OVER: define(
    'warning',
    'warn',
    z.object({ attempt: count, max: count }),
    'The worker that carried out the run was lost. Another one takes over (attempt {attempt:count} of {max:count}).',
    () => 'ERR_WORKER_LOST',
  ),
  LEASE_LOST: define(
    'warning',
    'warn',
    none,
    'The worker was cut off and stopped. Another one carries on.',
    () => 'ERR_LEASE_LOST',
  ),
  YIELD_REQUESTED: define('info', 'info', none, 'A backup is due: this run makes room for it.'),
  YIELDED: define('cancelled', 'info', none, 'Stopped to make room for a backup.'),
  LOG_TRUNCATED: define('warning', 'warn', none, 'Display log truncated due to size. Showing summary only.'),
  EVENTS_TRUNCATED: define(
    'warning',
    'warn',
    z.object({ max: count }),
    'This run has more events than the {max:count} that are kept. Only errors and the result are added from here on.',
  ),
};
