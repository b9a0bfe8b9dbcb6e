import { setTimeout } from 'node:timers/promises';
import { isUnreachable, type Database } from '../database/connect.ts';
import { lastEvents } from '../database/events.ts';
import { findNoticeJob, findNoticeRun, type NoticeJob } from '../database/notice-subjects.ts';
import {
  claimNotices,
  markNoticeFailed,
  markNoticeSent,
  markNoticeSuppressed,
  renewNotice,
  type ClaimedNotice,
} from '../database/outbox.ts';
import type { HostPort } from '../host/port.ts';
import { describeError, type Logger } from '../log.ts';
import { isTerminal, type RunStatus } from '../runs/state.ts';
import { firstTimezone } from '../schedule/zone.ts';
import { MOST_REPORT_EVENTS, mergeVars } from './merge-vars.ts';
import { recipientsOf } from './recipients.ts';
import { isWanted, type Occasion } from './wishes.ts';

/** A claimed notice is somebody else's after this time: longer than any mail takes. */
const LEASE_MS = 5 * 60_000;
/** A mail server that is silent for longer counts as one that refused. */
const SEND_TIMEOUT_MS = 2 * 60_000;
const BATCH = 20;

export interface NotifyOptions {
  readonly database: Database;
  readonly host: Pick<HostPort, 'settings' | 'client' | 'timezone' | 'sendEmail'>;
  /** Zone for clients of whom neither they nor the host say one. Default UTC. */
  readonly defaultTimezone?: string;
  readonly signal?: AbortSignal;
  readonly log?: Logger;
}

export interface NotifyReport {
  sent: number;
  /** Nobody wants them, or there is no template or recipient. */
  suppressed: number;
  /** Tried again later, or given up. */
  failed: number;
}

/**
 * Sends every notice whose time has come. Two processes never send the same one: a notice is claimed, its lease is renewed right
 * before the mail is handed over, and its end is written only under that lease.
 */
export async function sendNotices(options: NotifyOptions): Promise<NotifyReport> {
  const report: NotifyReport = { sent: 0, suppressed: 0, failed: 0 };
  const settings = await options.host.settings();
  while (!options.signal?.aborted) {
    const notices = await claimNotices(options.database, { limit: BATCH, leaseMs: LEASE_MS });
    if (notices.length === 0) break;
    for (const notice of notices) {
      // What is left of the batch comes back when its lease is over.
      if (options.signal?.aborted) break;
      report[await deliver(options, settings, notice)] += 1;
    }
  }
  return report;
}

type Settings = ReadonlyMap<string, string>;
type Outcome = keyof NotifyReport;

async function deliver(options: NotifyOptions, settings: Settings, notice: ClaimedNotice): Promise<Outcome> {
  const { database, host, log } = options;
  try {
    const mail = await compose(options, settings, notice);
    if ('suppressed' in mail) {
      await markNoticeSuppressed(database, notice, mail.suppressed);
      return 'suppressed';
    }
    if (!(await renewNotice(database, notice, LEASE_MS))) return 'failed';
    await withTimeout(host.sendEmail(mail), SEND_TIMEOUT_MS);
  } catch (error) {
    const outcome = await markNoticeFailed(database, notice, error instanceof Error ? error.message : String(error));
    log?.warn('a mail was not sent', {
      notice: notice.uuid,
      attempt: notice.attempt,
      outcome,
      error: describeError(error),
    });
    return 'failed';
  }
  await noteSent(database, notice);
  return 'sent';
}

/** The mail is out: what goes wrong from here on must not look like a mail that was not sent, nor send it again. */
async function noteSent(database: Database, notice: ClaimedNotice): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await markNoticeSent(database, notice);
      return;
    } catch (error) {
      if (!isUnreachable(error) || tries >= 20) throw error;
      await setTimeout(2_000);
    }
  }
}

type Mail = Parameters<HostPort['sendEmail']>[0];

async function compose(
  options: NotifyOptions,
  settings: Settings,
  notice: ClaimedNotice,
): Promise<Mail | { suppressed: string }> {
  const { database, host } = options;
  const templateId = settings.get('cloudbackup_email_template') ?? '';
  if (templateId === '' || templateId === '0') {
    return { suppressed: 'No e-mail template is chosen in the module settings (cloudbackup_email_template).' };
  }
  const job = notice.jobId === null ? null : await findNoticeJob(database, notice.jobId);
  if (job === null || job.clientId !== notice.clientId) return { suppressed: 'The job does not exist any more.' };
  const occasion = occasionOf(notice);
  if (occasion === null) return { suppressed: 'This kind of notice is not known.' };
  const over = overBy(occasion, notice, job);
  if (over !== null) return { suppressed: over };
  const tellCancelled = isOn(settings.get('cloudbackup_notify_on_cancelled'));
  if (!isWanted(occasion, job, job.client, { tellCancelled })) {
    return { suppressed: `Mails about "${occasion}" are switched off for this job.` };
  }
  const client = await host.client(notice.clientId);
  if (client === null) return { suppressed: 'The client does not exist any more.' };
  const recipients = recipientsOf({
    job: job.notifyOverrideEmail,
    client: job.client?.notifyEmails ?? null,
    clientEmail: client.email,
  });
  if (recipients.length === 0) return { suppressed: 'There is no valid mail address to send to.' };
  const run = notice.runId === null ? null : await findNoticeRun(database, notice.runId);
  const events = run === null ? [] : await lastEvents(database, run.id, MOST_REPORT_EVENTS);
  const timezone = firstTimezone(
    job.timezone,
    job.client?.timezone,
    await host.timezone(notice.clientId),
    options.defaultTimezone,
  );
  return {
    templateId,
    clientId: notice.clientId,
    recipients,
    mergeVars: mergeVars({
      job,
      client,
      run,
      occasion,
      reason: textOrNull(notice.payload['reason']),
      events,
      overdueSince: numberOrNull(notice.payload['since']),
      timezone,
    }),
  };
}

function occasionOf(notice: ClaimedNotice): Occasion | null {
  if (notice.kind !== 'run')
    return (['overdue', 'frozen', 'drill_overdue', 'ending'] as const).find((one) => one === notice.kind) ?? null;
  const status = String(notice.payload['status']) as RunStatus;
  return isTerminal(status) ? status : null;
}

/** Why a state need not be told any more; null: it is as it was, or the notice tells of something that ended. */
function overBy(occasion: Occasion, notice: ClaimedNotice, job: NoticeJob): string | null {
  const { since, run } = notice.payload;
  switch (occasion) {
    case 'overdue':
      return job.status === 'active' && job.overdueSince !== null && job.overdueSince === since
        ? null
        : 'The job was not overdue any more when the mail was about to be sent.';
    case 'drill_overdue':
      return job.status === 'active' && job.drillOverdueSince !== null && job.drillOverdueSince === since
        ? null
        : 'The restore test was not overdue any more when the mail was about to be sent.';
    case 'frozen':
      return job.status !== 'deleted' && job.frozenRun === run
        ? null
        : 'Retention had been released before the mail was about to be sent.';
    case 'ending':
      return job.dataDeleteAt !== null && job.dataEndingSince === since
        ? null
        : 'The service had come back before the mail was about to be sent.';
    default:
      return null;
  }
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function isOn(value: string | undefined): boolean {
  return ['on', '1', 'yes', 'true'].includes((value ?? '').toLowerCase());
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}

async function withTimeout(work: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = globalThis.setTimeout(() => reject(new Error('The mail server did not answer in time.')), timeoutMs);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
