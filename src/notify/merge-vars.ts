import type { NoticeJob, NoticeRun } from '../database/notice-subjects.ts';
import type { StoredEvent } from '../database/events.ts';
import { catalogue as errors, type ErrorCode } from '../errors/catalogue.ts';
import { renderEvent } from '../events/render.ts';
import { formatBytes, formatDuration, formatPercent, formatTime } from '../events/units.ts';
import type { ClientRecord } from '../host/port.ts';
import type { RunKind } from '../runs/state.ts';
import type { Occasion } from './wishes.ts';

export interface MailContent {
  readonly job: NoticeJob;
  readonly client: ClientRecord;
  /** Null: the mail is about the job alone. */
  readonly run: NoticeRun | null;
  /** As it was when the notice was written: the row may tell something else by now. */
  readonly occasion: Occasion;
  /** Why retention stopped; null for other mails. */
  readonly reason: string | null;
  /** In order; the caller takes at most `MOST_REPORT_EVENTS`. */
  readonly events: readonly StoredEvent[];
  /** Epoch milliseconds, for what is overdue. */
  readonly overdueSince: number | null;
  readonly timezone: string;
}

export const MOST_REPORT_EVENTS = 500;

/** All names that a template may use. Values are plain text; only `job_log_report_html` is HTML, escaped and ours. */
export function mergeVars(content: MailContent): Record<string, string> {
  const { job, client, run, timezone } = content;
  const time = (epochMs: number | null | undefined): string =>
    epochMs === null || epochMs === undefined ? '' : formatTime(epochMs, timezone);
  const started = run?.startedAt ?? run?.createdAt ?? null;
  const report = reportLines(content);
  return {
    job_name: job.name,
    job_id: job.uuid,
    run_id: run?.uuid ?? '',
    run_kind: run === null ? '' : kindNames[run.kind],
    run_status: statusName(content),
    source_display_name: job.sourceDisplayName,
    source_type: job.sourceType,
    dest_bucket_id: String(job.bucketId),
    dest_bucket_name: job.bucketName,
    dest_prefix: job.prefix,
    started_at: time(started),
    finished_at: time(run?.finishedAt),
    duration:
      started !== null && run?.finishedAt ? formatDuration((run.finishedAt - started) / 1_000) : formatDuration(null),
    bytes_transferred: String(run?.bytesTransferred ?? 0),
    bytes_transferred_formatted: formatBytes(run?.bytesTransferred ?? 0),
    bytes_total: String(run?.bytesTotal ?? 0),
    bytes_total_formatted: formatBytes(run?.bytesTotal ?? 0),
    files_transferred: String(run?.filesTransferred ?? 0),
    files_total: String(run?.filesTotal ?? 0),
    progress_pct: formatPercent(run?.progressPct ?? 0),
    error_summary: errorSummary(content, time),
    client_id: String(client.id),
    client_name: `${client.firstName} ${client.lastName}`.trim(),
    client_email: client.email,
    overdue_since: time(content.overdueSince),
    last_good_at: time(job.lastGoodAt),
    job_log_report: report.join('\n'),
    job_log_report_html: report.map(escapeHtml).join('<br>\n'),
  };
}

const kindNames: Readonly<Record<RunKind, string>> = {
  backup: 'Backup',
  restore: 'Restore',
  validation: 'Validation',
  drill: 'Restore test',
  maintenance: 'Maintenance',
};

/** `partial_success` → `Partial success`; of what is no backup with its kind: `Restore test failed`. */
function statusName({ occasion, run }: MailContent): string {
  if (occasion === 'frozen') return 'Old restore points are kept until you have looked';
  if (occasion === 'drill_overdue') return 'Restore test overdue';
  if (occasion === 'ending') return 'The service has ended: backups will be deleted';
  const words = occasion.replaceAll('_', ' ');
  if (run !== null && run.kind !== 'backup') return `${kindNames[run.kind]} ${words}`;
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}

const freezeReasons: Readonly<Record<string, string>> = {
  brake: 'A run found an unusual share of the files deleted or changed.',
  empty_source: 'A run was started although the source listed no files.',
  rolled_forward: 'A run was completed from what an interrupted attempt had written.',
  reindexed:
    'The list of restore points was made anew from the bucket, and the newest of them was made while old ones were held back.',
};

const FROZEN =
  'New backups go on, and no old restore point of this job is removed until you release this on the page of the job. If files were ' +
  'lost, or encrypted by an attacker, restore from an earlier point first.';

function errorSummary(content: MailContent, time: (epochMs: number | null) => string): string {
  const { run, job, occasion } = content;
  if (occasion === 'frozen')
    return `${freezeReasons[content.reason ?? ''] ?? 'A run saw something unusual.'} ${FROZEN}`;
  if (occasion === 'ending')
    return `The service to which these backups belong has ended. They stay until ${time(job.dataDeleteAt)} and are deleted then. Restore or download what you need before, or take the service up again: then they stay.`;
  if (occasion === 'drill_overdue')
    return `No restore test of this job has come to its end since ${time(content.overdueSince)}, although one is due. The backups are not affected by that.`;
  if (run === null) {
    return job.lastGoodAt === null
      ? 'There is no restore point yet, although one is due.'
      : `No new restore point has been made since ${time(job.lastGoodAt)}, although one is due.`;
  }
  const known = errors[run.errorCode as ErrorCode] as (typeof errors)[ErrorCode] | undefined;
  if (run.errorSummary !== null) return run.errorSummary;
  return known === undefined ? '' : `${known.what} ${known.data} ${known.action}`;
}

/** One event a line, `LEVEL[time] text`; an event that lists files goes on below, indented. */
function reportLines({ events, timezone }: MailContent): string[] {
  return events.map((event) => {
    const text = renderEvent(event, { timezone }).replaceAll('\n', '\n    ');
    return `${event.level.toUpperCase()}[${formatTime(event.ts, timezone)}] ${text}`;
  });
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
    .replaceAll('\n', '<br>\n');
}
