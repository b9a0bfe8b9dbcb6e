import { z } from 'zod';
import { catalogue as errors, type ErrorCode } from '../errors/catalogue.ts';
import { define, type Show } from './define.ts';
import { fileProblemReason } from './file-problems.ts';

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
    const error = errors[params.code as ErrorCode] as { what: string; action: string } | undefined;
    return [
      parts.length === 0 || params.files_transferred === undefined ? first : `${first} ${parts.join(', ')}.`,
      ...(error ? [error.what, error.action] : []),
    ].join(' ');
  };
}

const skipReasons = {
  overlap: 'the run before it was still active',
  missed: 'the scheduler was not running, and this job does not catch up missed runs',
  suspended: 'the storage service of this account is suspended',
  schedule: 'the schedule of the job is not valid',
} as const;

const freezeReasons = {
  brake: 'unusually many files are gone or changed',
  empty_source: 'the source was empty, which was allowed for this run',
  rolled_forward: 'the run was completed from what lay in the bucket',
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
    'Validation: differences detected.',
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

/** What a cloud backup tells about source, destination and single files; emitted by src/backup. */
export const backupEvents = {
  MARKER_CREATED: define('info', 'info', none, 'The folder in the bucket was marked as this job’s own.'),
  POINT_ADOPTED: define(
    'info',
    'info',
    z.object({ run: word.optional(), claim: word }),
    'A complete restore point of this run was found in the bucket and taken into the list.',
  ),
  ROLLED_FORWARD: define(
    'info',
    'info',
    z.object({ claim: word }),
    'An earlier attempt of this run had written everything. It was completed from what lies in the bucket.',
  ),
  LISTED: define('info', 'info', z.object({ files: count, bytes: count, complete: z.boolean() }), (p, show) =>
    p.complete
      ? `Source listed: ${show.many(p.files, 'file')}, ${show.bytes(p.bytes)}.`
      : `Source listed with gaps: ${show.many(p.files, 'file')}, ${show.bytes(p.bytes)}.`,
  ),
  COMPARED: define(
    'info',
    'info',
    z.object({
      unchanged: count,
      moved: count,
      added: count,
      changed: count,
      deleted: count,
      carried: count,
      files: count,
      bytes: count,
    }),
    (p, show) => {
      const parts = [
        `${show.count(p.added)} new`,
        `${show.count(p.changed)} changed`,
        ...(p.moved > 0 ? [`${show.count(p.moved)} moved`] : []),
        ...(p.deleted > 0 ? [`${show.count(p.deleted)} deleted`] : []),
        ...(p.carried > 0 ? [`${show.count(p.carried)} carried over`] : []),
        `${show.count(p.unchanged)} unchanged`,
      ];
      return `Compared with the last restore point: ${parts.join(', ')}. To copy: ${show.many(p.files, 'file')}, ${show.bytes(p.bytes)}.`;
    },
  ),
  FILES_REUSED: define(
    'info',
    'info',
    z.object({ files: count, bytes: count }),
    (p, show) =>
      `${show.many(p.files, 'file')} (${show.bytes(p.bytes)}) of an earlier attempt ${p.files === 1 ? 'was' : 'were'} used again.`,
  ),
  FOLDERS_UNREADABLE: define(
    'warning',
    'warn',
    z.object({ folders: z.array(pathText).readonly(), total: count }),
    (p, show) =>
      `${show.many(p.total, 'folder')} could not be listed, so their files are kept as they were: ${list(p.folders.map(show.file), p.total)}.`,
    () => 'ERR_SOURCE_LISTING',
  ),
  LISTING_INCOMPLETE: define(
    'warning',
    'warn',
    none,
    'The listing of the source is incomplete. Files that it does not show are kept as they were.',
    () => 'ERR_SOURCE_LISTING',
  ),
  FILE_PROBLEMS: define(
    'warning',
    'warn',
    z.object({
      problems: z
        .array(z.object({ path: pathText, code: word, outcome: z.enum(['carried', 'failed', 'skipped']) }))
        .readonly(),
      total: count,
    }),
    (p, show) =>
      p.problems
        .map(({ path, code, outcome: became }) => {
          const reason = `${show.file(path)}: ${fileProblemReason(code)}`;
          return `${reason} — ${became === 'carried' ? 'its last version is kept' : became === 'failed' ? 'not in this backup' : 'left out'}.`;
        })
        .join('\n'),
  ),
  FILE_CARRIED: define(
    'warning',
    'warn',
    z.object({ path: pathText, reason: word }),
    (p, show) => `${show.file(p.path)}: ${fileProblemReason(p.reason)} — its last version is kept.`,
  ),
  FILE_FAILED: define(
    'error',
    'error',
    z.object({ path: pathText, code: word }),
    (p, show) => `${show.file(p.path)}: ${fileProblemReason(p.code)} — not in this backup.`,
    (p) => p.code,
  ),
  FILES_CARRIED_TOTAL: define('warning', 'warn', z.object({ carried: count, failed: count }), (p, show) =>
    [
      ...(p.carried > 0 || p.failed === 0
        ? [
            `${show.many(p.carried, 'file')} could not be read now and ${p.carried === 1 ? 'is' : 'are'} kept as before.`,
          ]
        : []),
      ...(p.failed > 0 ? [`${show.many(p.failed, 'file')} could not be backed up at all.`] : []),
    ].join(' '),
  ),
  NAME_TOO_LONG: define(
    'warning',
    'warn',
    z.object({ path: pathText, bytes: count.optional() }),
    (p, show) => `${show.file(p.path)}: ${fileProblemReason('ERR_KEY_TOO_LONG')} — left out.`,
    () => 'ERR_KEY_TOO_LONG',
  ),
  RETENTION_FROZEN: define(
    'warning',
    'warn',
    z.object({
      reason: z.enum(['brake', 'empty_source', 'rolled_forward']),
      deleted: count,
      changed: count,
      files: count,
    }),
    (p, show) =>
      `No old restore point is removed until somebody has looked: ${freezeReasons[p.reason]} ` +
      `(${show.count(p.deleted)} deleted and ${show.count(p.changed)} changed of ${show.many(p.files, 'file')}).`,
  ),
  RETENTION_RELEASED: define('info', 'info', none, 'Old restore points are removed by schedule again.'),
  RUN_ANYWAY: define('info', 'info', z.object({ option: word }), 'This run was started with “run anyway once”.'),
  HOST_KEY_PINNED: define(
    'info',
    'info',
    z.object({ fingerprint: word }),
    'The server’s host key was seen for the first time and is remembered: {fingerprint:text}.',
  ),
  HOST_KEY_CHANGED: define(
    'error',
    'error',
    z.object({ fingerprint: word }),
    'The server shows another host key than before: {fingerprint:text}. Nothing was read.',
    () => 'ERR_SFTP_HOST_KEY_CHANGED',
  ),
};

function list(shown: readonly string[], total: number): string {
  const first = shown.slice(0, 10);
  return total > first.length ? `${first.join(', ')} and ${total - first.length} more` : first.join(', ');
}
