import type { RunKind, RunStatus } from '../runs/state.ts';
import type { Database } from './connect.ts';
import { fromDatabaseTimeOrNull } from './times.ts';

/** What a mail about a job tells and whom it concerns; times are epoch milliseconds. */
export interface NoticeJob {
  readonly id: number;
  readonly uuid: string;
  readonly clientId: number;
  readonly status: string;
  readonly name: string;
  readonly sourceType: string;
  readonly sourceDisplayName: string;
  readonly bucketId: number;
  readonly bucketName: string;
  readonly prefix: string;
  readonly timezone: string | null;
  readonly overdueSince: number | null;
  readonly drillOverdueSince: number | null;
  /** The run at which retention stopped; null: it goes on. */
  readonly frozenRun: string | null;
  /** Since when the service is over, and until when its backups stay. */
  readonly dataEndingSince: number | null;
  readonly dataDeleteAt: number | null;
  readonly lastGoodAt: number | null;
  readonly notifyOverrideEmail: string | null;
  readonly onSuccess: boolean | null;
  readonly onWarning: boolean | null;
  readonly onFailure: boolean | null;
  /** Null: the client has never saved settings. */
  readonly client: {
    readonly notifyEmails: string | null;
    readonly onSuccess: boolean;
    readonly onWarning: boolean;
    readonly onFailure: boolean;
    readonly timezone: string | null;
  } | null;
}

export async function findNoticeJob(database: Database, jobId: number): Promise<NoticeJob | null> {
  const row = (await database
    .knex('s3_cloudbackup_jobs as j')
    .leftJoin('s3_cloudbackup_settings as s', 's.client_id', 'j.client_id')
    .where('j.id', jobId)
    .first(
      'j.id',
      'j.uuid',
      'j.client_id',
      'j.status',
      'j.name',
      'j.source_type',
      'j.source_display_name',
      'j.dest_bucket_id',
      'j.dest_bucket_name',
      'j.dest_prefix',
      'j.timezone',
      'j.overdue_since',
      'j.drill_overdue_since',
      'j.frozen_run_uuid',
      'j.data_ending_since',
      'j.data_delete_at',
      'j.last_good_at',
      'j.notify_override_email',
      'j.notify_on_success',
      'j.notify_on_warning',
      'j.notify_on_failure',
      's.id as settings_id',
      's.default_notify_emails',
      's.default_notify_on_success',
      's.default_notify_on_warning',
      's.default_notify_on_failure',
      's.default_timezone',
    )) as Row | undefined;
  if (row === undefined) return null;
  const flag = (name: string): boolean => Boolean(Number(row[name]));
  const flagOrNull = (name: string): boolean | null => (row[name] === null ? null : flag(name));
  return {
    id: Number(row['id']),
    uuid: String(row['uuid']),
    clientId: Number(row['client_id']),
    status: String(row['status']),
    name: String(row['name']),
    sourceType: String(row['source_type']),
    sourceDisplayName: String(row['source_display_name']),
    bucketId: Number(row['dest_bucket_id']),
    bucketName: String(row['dest_bucket_name']),
    prefix: String(row['dest_prefix']),
    timezone: textOrNull(row['timezone']),
    overdueSince: fromDatabaseTimeOrNull(textOrNull(row['overdue_since'])),
    drillOverdueSince: fromDatabaseTimeOrNull(textOrNull(row['drill_overdue_since'])),
    frozenRun: textOrNull(row['frozen_run_uuid']),
    dataEndingSince: fromDatabaseTimeOrNull(textOrNull(row['data_ending_since'])),
    dataDeleteAt: fromDatabaseTimeOrNull(textOrNull(row['data_delete_at'])),
    lastGoodAt: fromDatabaseTimeOrNull(textOrNull(row['last_good_at'])),
    notifyOverrideEmail: textOrNull(row['notify_override_email']),
    onSuccess: flagOrNull('notify_on_success'),
    onWarning: flagOrNull('notify_on_warning'),
    onFailure: flagOrNull('notify_on_failure'),
    client:
      row['settings_id'] === null
        ? null
        : {
            notifyEmails: textOrNull(row['default_notify_emails']),
            onSuccess: flag('default_notify_on_success'),
            onWarning: flag('default_notify_on_warning'),
            onFailure: flag('default_notify_on_failure'),
            timezone: textOrNull(row['default_timezone']),
          },
  };
}

export interface NoticeRun {
  readonly id: number;
  readonly uuid: string;
  readonly kind: RunKind;
  readonly status: RunStatus;
  readonly errorCode: string | null;
  readonly errorSummary: string | null;
  readonly createdAt: number | null;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly bytesTransferred: number;
  readonly bytesTotal: number;
  readonly filesTransferred: number;
  readonly filesTotal: number;
  readonly progressPct: number;
}

export async function findNoticeRun(database: Database, runId: number): Promise<NoticeRun | null> {
  const row = (await database
    .knex('s3_cloudbackup_runs')
    .where('id', runId)
    .first(
      'id',
      'uuid',
      'kind',
      'status',
      'error_code',
      'error_summary',
      'created_at',
      'started_at',
      'finished_at',
      'bytes_transferred',
      'bytes_total',
      'objects_transferred',
      'objects_total',
      'progress_pct',
    )) as Row | undefined;
  if (row === undefined) return null;
  const time = (name: string): number | null => fromDatabaseTimeOrNull(textOrNull(row[name]));
  return {
    id: Number(row['id']),
    uuid: String(row['uuid']),
    kind: row['kind'] as RunKind,
    status: row['status'] as RunStatus,
    errorCode: textOrNull(row['error_code']),
    errorSummary: textOrNull(row['error_summary']),
    createdAt: time('created_at'),
    startedAt: time('started_at'),
    finishedAt: time('finished_at'),
    bytesTransferred: Number(row['bytes_transferred']),
    bytesTotal: Number(row['bytes_total']),
    filesTransferred: Number(row['objects_transferred']),
    filesTotal: Number(row['objects_total']),
    progressPct: Number(row['progress_pct']),
  };
}

type Row = Readonly<Record<string, unknown>>;

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
