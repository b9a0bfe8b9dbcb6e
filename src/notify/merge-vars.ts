import type { NoticeJob, NoticeRun } from '../database/notice-subjects.ts';
import type { StoredEvent } from '../database/events.ts';
import { catalogue as errors, type ErrorCode } from '../errors/catalogue.ts';
import { renderEvent } from '../events/render.ts';
import { formatBytes, formatDuration, formatPercent, formatTime } from '../events/units.ts';
import type { ClientRecord } from '../host/port.ts';

export interface MailContent {
  readonly job: NoticeJob;
  readonly client: ClientRecord;
  /** Null: the mail is about the job, which is overdue. */
  readonly run: NoticeRun | null;
  /** As it was when the notice was written: the row may tell something else by now. */
  readonly status: string;
  /** In order; the caller takes at most `MOST_REPORT_EVENTS`. */
  readonly events: readonly StoredEvent[];
  /** Epoch milliseconds, for overdue notices. */
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
    run_status: statusName(content.status),
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

/** `partial_success` → `Partial success` */
function statusName(status: string): string {
  const words = status.replaceAll('_', ' ');
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}

function errorSummary(content: MailContent, time: (epochMs: number | null) => string): string {
  const { run, job } = content;
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
