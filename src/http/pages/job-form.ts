import { z } from 'zod';
import type { ClientServices } from '../../jobs/client.ts';
import { JobId } from '../../protocol/fields.ts';
import type { JobView, SettingsView, SourceView } from '../../protocol/job.ts';
import type { ConnectionSummary } from '../../protocol/sources.ts';
import { parseSchedule, type Schedule } from '../../schedule/schedule.ts';
import { nextSlots } from '../../schedule/slots.ts';
import { isTimezone } from '../../schedule/zone.ts';
import { sourceTypes } from '../../sources/registry.ts';
import { formatDate } from '../dates.ts';
import { page, view, type PageAnswer } from '../page.ts';
import { filledForms } from './source-fields.ts';

/** The form of a job that is to be. `source` chooses the type beforehand. */
export const newJobPage = page({
  path: '/jobs/new',
  caller: 'client',
  section: '/jobs',
  query: z.object({ source: z.string().max(32).default('s3_compatible') }),
  handle: async ({ client, query, request }) => {
    const known = sourceTypes.some((type) => type.name === query.source);
    return await form(client, blank(known ? query.source : 's3_compatible'), null, request.timezone);
  },
});

/** The same form over a job that is there. Secrets never come back: a field that stays blank keeps what is stored. */
export const editJobPage = page({
  path: '/jobs/:job_id/edit',
  caller: 'client',
  section: '/jobs',
  params: z.object({ job_id: JobId }),
  handle: async ({ client, params, request }) => {
    const { job, source } = await client.jobs.get(params.job_id);
    return await form(client, stored(job, source), job, request.timezone);
  },
});

/** The next runs of the schedule in the form, as a part of a page. Only the fields of the schedule are sent here. */
export const nextRunsPage = page({
  path: '/jobs/next-runs',
  caller: 'client',
  section: '/jobs',
  query: z.object({
    schedule_type: z.string().max(16).default('manual'),
    schedule_time: z.string().max(8).optional(),
    schedule_minute: z.coerce.number().optional(),
    schedule_cron: z.string().max(191).optional(),
    weekday: z.union([z.string(), z.array(z.string())]).default([]),
    timezone: z.string().max(64).default(''),
  }),
  handle: async ({ query, request }) => {
    const weekdays = [query.weekday].flat().map(Number);
    const parsed = parseSchedule({
      schedule_type: query.schedule_type,
      schedule_time: query.schedule_time,
      schedule_minute: query.schedule_minute,
      schedule_cron: query.schedule_cron,
      schedule_json: { weekdays },
    });
    const zone = query.timezone.trim() === '' ? request.timezone : query.timezone.trim();
    if (!parsed.ok) return preview({ problem: scheduleProblem(parsed.problems[0]) });
    if (!isTimezone(zone)) return preview({ problem: `There is no time zone "${zone}".` });
    const slots = nextSlots(parsed.schedule, request.now, zone, 4);
    return await Promise.resolve(
      preview({ slots: slots.map((at) => ({ at, text: formatDate(at, 'slot', zone) })), zone }),
    );
  },
});

function preview(model: { problem?: string; slots?: object[]; zone?: string }): PageAnswer {
  return view('partials/next_runs.njk', { problem: null, slots: [], zone: '', ...model });
}

function scheduleProblem(problem: { field: string; message: string } | undefined): string {
  const labels: Readonly<Record<string, string>> = {
    schedule_time: 'The time',
    schedule_minute: 'The minute',
    schedule_weekdays: 'Weekdays:',
    schedule_cron: 'The expression',
  };
  return problem === undefined ? '' : `${labels[problem.field] ?? 'The schedule'} ${problem.message}.`;
}

/** What the fields hold when the form opens. Everything is text or a choice: it goes into attributes. */
interface FormValues {
  readonly name: string;
  readonly sourceType: string;
  readonly path: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, boolean>>;
  readonly bucketId: number | null;
  readonly prefix: string;
  readonly backupMode: string;
  readonly encrypted: boolean;
  readonly schedule: Schedule;
  readonly timezone: string | null;
  readonly ownMails: boolean;
  readonly retention: JobView['retention'];
  readonly mails: readonly [success: boolean | null, warning: boolean | null, failure: boolean | null];
  readonly recipients: readonly string[];
  readonly validationMode: string;
  readonly validationEveryDays: number | null;
  readonly drillEveryDays: number | null;
}

function blank(sourceType: string): FormValues {
  return {
    name: '',
    sourceType,
    path: '',
    config: {},
    secrets: {},
    bucketId: null,
    prefix: '',
    backupMode: 'sync',
    encrypted: false,
    schedule: { type: 'daily', time: '02:00' },
    timezone: null,
    retention: { mode: 'none' },
    ownMails: false,
    mails: [null, null, null],
    recipients: [],
    validationMode: 'none',
    validationEveryDays: null,
    drillEveryDays: null,
  };
}

function stored(job: JobView, source: SourceView): FormValues {
  const parsed = parseSchedule(job);
  const mails = [job.notify_on_success, job.notify_on_warning, job.notify_on_failure] as const;
  return {
    name: job.name,
    sourceType: job.source_type,
    path: job.source_path,
    config: source.config,
    secrets: source.secrets_set,
    bucketId: job.dest_bucket_id,
    prefix: job.dest_prefix,
    backupMode: job.backup_mode,
    encrypted: job.encryption_enabled,
    schedule: parsed.ok ? parsed.schedule : { type: 'manual' },
    timezone: job.timezone,
    // What waits is what was wanted last: saving the form again must neither undo it nor let it wait anew.
    retention: job.retention_pending?.retention ?? job.retention,
    ownMails: mails.some((on) => on !== null) || job.notify_override_email.length > 0,
    mails,
    recipients: job.notify_override_email,
    validationMode: job.validation_mode,
    validationEveryDays: job.validation_every_days,
    drillEveryDays: job.drill_every_days,
  };
}

async function form(
  client: ClientServices,
  values: FormValues,
  job: JobView | null,
  timezone: string,
): Promise<PageAnswer> {
  const [buckets, settings, connected] = await Promise.all([
    client.buckets.list(),
    client.settings.get(),
    client.sources.list(),
  ]);
  const { schedule } = values;
  return view('pages/job_form.njk', {
    job: job === null ? null : { id: job.job_id, name: job.name, fixed: job.layout_fixed },
    buckets,
    sourceForms: filledForms({ ...values, type: values.sourceType }),
    connections: Object.groupBy(connected.sources.map(shownConnection), ({ provider }) => provider),
    zones: Intl.supportedValuesOf('timeZone'),
    defaults: defaultMails(settings),
    /** The browser may put its own zone into the form. */
    guessZone: job === null && settings.default_timezone === null,
    values: {
      ...values,
      timezone: values.timezone ?? timezone,
      retention: retentionFields(values.retention),
      recipients: values.recipients.join(', '),
      mails: {
        success: values.mails[0] ?? settings.default_notify_on_success,
        warning: values.mails[1] ?? settings.default_notify_on_warning,
        failure: values.mails[2] ?? settings.default_notify_on_failure,
      },
      schedule: {
        type: schedule.type,
        time: schedule.type === 'daily' || schedule.type === 'weekly' ? schedule.time : '02:00',
        minute: schedule.type === 'hourly' ? schedule.minute : 0,
        weekdays: schedule.type === 'weekly' ? schedule.weekdays : [1, 2, 3, 4, 5],
        cron: schedule.type === 'cron' ? schedule.expression : '',
      },
    },
    intervals,
    intervalDays: intervals.map(({ days }) => days),
    weekdays: ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'],
  });
}

/** One that was disconnected cannot be chosen any more; a job that has it says so when it runs. */
function shownConnection(connection: ConnectionSummary): {
  provider: string;
  id: string;
  name: string;
  usable: boolean;
} {
  const { id, provider, display_name: name, account_email: email, status } = connection;
  return {
    provider,
    id,
    name: email === null || email === name ? name : `${name} (${email})`,
    usable: status === 'active',
  };
}

/** How often validations and restore tests are offered; another number that was set through the API stays. */
const intervals = [
  { days: 0, words: 'Never by schedule' },
  { days: 1, words: 'Every day' },
  { days: 7, words: 'Every week' },
  { days: 30, words: 'Every 30 days' },
  { days: 90, words: 'Every 90 days' },
] as const;

/** The number fields hold something sensible also while another mode is chosen. */
function retentionFields(policy: JobView['retention']) {
  const { mode: _, ...tiers } =
    policy.mode === 'tiers' ? policy : { mode: 'tiers', hourly: 0, daily: 7, weekly: 4, monthly: 12, yearly: 0 };
  const value = policy.mode === 'keep_last_n' ? policy.count : policy.mode === 'keep_days' ? policy.days : 30;
  return { mode: policy.mode, value, tiers };
}

/** `On warning and failure, to ada@example.com`. */
function defaultMails(settings: SettingsView): string {
  const on = [
    ...(settings.default_notify_on_success ? ['success'] : []),
    ...(settings.default_notify_on_warning ? ['warning'] : []),
    ...(settings.default_notify_on_failure ? ['failure'] : []),
  ];
  if (on.length === 0) return 'No e-mail';
  const last = on.pop() ?? '';
  const to =
    settings.default_notify_emails.length > 0 ? settings.default_notify_emails.join(', ') : 'your account address';
  return `On ${on.length > 0 ? `${on.join(', ')} and ` : ''}${last}, to ${to}`;
}
