import type { ClientJobs } from '../database/jobs.ts';
import type { JobValues, StoredJob } from '../database/job-rows.ts';
import type { Transaction } from '../database/connect.ts';
import { plannablePoints, toLivePoint } from '../database/retention.ts';
import { pendingText, retentionColumns, samePolicy } from '../database/retention-rows.ts';
import { fromDatabaseTime } from '../database/times.ts';
import { BackupError } from '../errors/backup-error.ts';
import { invalidFields } from '../errors/invalid-fields.ts';
import { keepsLess, parseRetention, type RetentionPolicy } from '../retention/policy.ts';
import { firstTimezone } from '../schedule/zone.ts';
import { timezoneOf, type ServiceParts } from './parts.ts';

const DAY = 86_400_000;
const COOL_OFF_DAYS = 7;
const GRACE_DAYS = 14;

/** The fields of a job's retention as they come in; absent ones stay. */
export interface RetentionInput {
  readonly retention_mode?: string | null | undefined;
  readonly retention_value?: number | string | null | undefined;
  readonly retention_json?: Readonly<Record<string, unknown>> | null | undefined;
}

/**
 * The policy that these fields ask for; null: they say nothing about it. A value alone changes the value of the mode that is there.
 * @throws BackupError `INVALID_INPUT` that names the field
 */
export function requestedRetention(given: RetentionInput, now: RetentionPolicy): RetentionPolicy | null {
  const { retention_mode: mode, retention_value: value = null, retention_json: json = null } = given;
  const tiers = json === null || Object.keys(json).length === 0 ? null : json;
  if (mode === undefined) {
    if (value === null && tiers === null) return null;
    const fits = now.mode === 'tiers' ? value === null : now.mode !== 'none' && tiers === null;
    if (!fits) throw invalidFields([['retention_mode', 'must say what the number is for']]);
  }
  return parseRetention({ mode: mode === undefined ? now.mode : (mode ?? 'none'), value, tiers });
}

/** How long a retention that keeps less waits (setting `cloudbackup_retention_cooloff_days`, default 7; 0: it does not), in ms. */
export async function coolOffMs(parts: ServiceParts): Promise<number> {
  return await daysSetting(parts, 'cloudbackup_retention_cooloff_days', COOL_OFF_DAYS);
}

/** How long the data of a deleted job can be brought back (setting `cloudbackup_data_grace_days`, default 14), in ms. */
export async function graceMs(parts: ServiceParts): Promise<number> {
  return await daysSetting(parts, 'cloudbackup_data_grace_days', GRACE_DAYS);
}

async function daysSetting(parts: ServiceParts, name: string, fallback: number): Promise<number> {
  const set = (await parts.host.settings()).get(name);
  const days = set === undefined || set.trim() === '' ? Number.NaN : Number(set);
  return (Number.isFinite(days) && days >= 0 && days <= 3_650 ? days : fallback) * DAY;
}

/** The zone in which a job's days and weeks begin, as the worker will find it. */
export async function zoneOfJob(
  parts: ServiceParts,
  clientId: number,
  job: Pick<StoredJob, 'timezone'>,
): Promise<string> {
  return firstTimezone(job.timezone, await timezoneOf(parts, clientId));
}

export type RetentionChange =
  | { readonly kind: 'none' }
  | { readonly kind: 'acts' | 'undone' }
  | { readonly kind: 'waits'; readonly actsAt: number };

/**
 * Writes another retention in the caller's transaction. One that lets a point of today go waits for the cool-off, everything else acts
 * at once and takes the place of what waited; what is in force already undoes what waited.
 * @throws BackupError `CONFLICT`: it was changed by somebody else meanwhile
 */
export async function changeRetention(
  parts: ServiceParts,
  jobs: ClientJobs,
  trx: Transaction,
  request: {
    readonly jobId: string;
    readonly next: RetentionPolicy;
    readonly timezone: string;
    readonly coolOffMs: number;
  },
): Promise<RetentionChange> {
  const { next } = request;
  const job = await jobs.get(request.jobId, trx);
  const { retention_pending: pending } = job;
  if (samePolicy(next, job.retention)) {
    return (await jobs.dropPendingRetention(trx, job.uuid)) ? { kind: 'undone' } : { kind: 'none' };
  }
  // A form sends everything: what waits already does not begin to wait anew.
  if (pending !== null && samePolicy(next, pending)) return { kind: 'none' };
  const points = (await plannablePoints(trx, job.id)).filter((point) => point.state !== 'deleting').map(toLivePoint);
  const now = fromDatabaseTime(await parts.database.readClock(trx));
  const less = keepsLess(next, job.retention, points, { now, timezone: request.timezone });
  const waits = less && request.coolOffMs > 0;
  const actsAt = now + request.coolOffMs;
  const values: JobValues = waits
    ? { retention_pending_json: pendingText(next), retention_acts_at: actsAt }
    : { ...retentionColumns(next), retention_pending_json: null, retention_acts_at: null };
  if (!(await jobs.changeRetention(trx, job, values))) throw new BackupError('CONFLICT');
  if (waits) await jobs.maintainBy(trx, job.id, actsAt);
  else if (points.length > 0) await jobs.maintainSoon(trx, job.id);
  return waits ? { kind: 'waits', actsAt } : { kind: 'acts' };
}
