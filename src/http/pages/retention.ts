import { z } from 'zod';
import type { PointHistory } from '../../jobs/client.ts';
import type { JobView } from '../../protocol/job.ts';
import type { RetentionPreview } from '../../protocol/retention.ts';
import { JobId } from '../../protocol/fields.ts';
import { parseRetention, type RetentionPolicy } from '../../retention/policy.ts';
import { isBackupError } from '../../errors/backup-error.ts';
import { page, view } from '../page.ts';
import { fateOf, policyText, reasonsText } from './retention-words.ts';
import { pointRow } from './rows.ts';
import { timelineOf } from './timeline.ts';

/** The points of a job's page: the time line and the point that is shown below it. */
export function historyModel(history: PointHistory, now: number, timezone: string, chosenId: string | undefined) {
  const chosen = history.points.find((point) => point.point_id === chosenId) ?? history.points[0];
  return {
    line: timelineOf(history.points, now, timezone, chosen?.point_id ?? null),
    stored: history.stored_bytes,
    chosen:
      chosen === undefined
        ? null
        : {
            ...pointRow(chosen),
            pinned: chosen.pinned,
            fate: fateOf(chosen),
            restorable: chosen.state === 'kept',
            ...fateWords(chosen),
          },
  };
}

function fateWords(point: PointHistory['points'][number]): { says: string; goesAt: number | null } {
  switch (fateOf(point)) {
    case 'deleting':
      return { says: 'Its files are being removed: only what no other point needs.', goesAt: null };
    case 'soon':
      return { says: 'Retention gives it up: it goes with the next maintenance. Pin it to keep it.', goesAt: null };
    case 'later':
      return { says: 'Goes', goesAt: point.goes_at_epoch_ms };
    case 'kept':
      return { says: `Kept: ${reasonsText(point.reasons)}.`, goesAt: null };
  }
}

/** The retention of a job's page: what is kept, what waits. */
export function retentionModel(job: Pick<JobView, 'retention' | 'retention_pending'>) {
  const pending = job.retention_pending;
  return {
    keeps: policyText(job.retention),
    pending: pending === null ? null : { keeps: policyText(pending.retention), actsAt: pending.acts_at_epoch_ms },
  };
}

const whole = z.string().trim().max(16).default('');

/** What the retention in the form would do, as a part of a page: to the points of a job, or in words for one that is to be. */
export const retentionPreviewPage = page({
  path: '/jobs/retention-preview',
  caller: 'client',
  section: '/jobs',
  query: z.object({
    job_id: JobId.optional(),
    retention_mode: z.string().max(16).default('none'),
    retention_value: whole,
    tier_hourly: whole,
    tier_daily: whole,
    tier_weekly: whole,
    tier_monthly: whole,
    tier_yearly: whole,
  }),
  handle: async ({ client, query }) => {
    const policy = policyOfForm(query);
    if ('problem' in policy) return view('partials/retention_preview.njk', { problem: policy.problem, preview: null });
    const keeps = policyText(policy);
    if (query.job_id === undefined) {
      return view('partials/retention_preview.njk', { problem: null, keeps, preview: null });
    }
    const { retention_mode, retention_value, retention_json } = fieldsOf(policy);
    const preview = await client.retention.preview(query.job_id, { retention_mode, retention_value, retention_json });
    return view('partials/retention_preview.njk', { problem: null, keeps, preview: previewModel(preview) });
  },
});

const SHOWN = 8;

function previewModel(preview: RetentionPreview) {
  const row = (point: RetentionPreview['points'][number]) => ({
    id: point.point_id,
    at: point.created_at_epoch_ms,
    bytes: point.bytes,
    why: reasonsText(point.reasons),
    state: pointRow(point).state,
  });
  const goes = preview.points.filter((point) => !point.keep).map(row);
  const kept = preview.points.filter((point) => point.keep).map(row);
  return {
    total: preview.points.length,
    removed: preview.removed,
    kept: preview.kept,
    freed: preview.freed_bytes_at_least,
    actsAt: preview.acts_at_epoch_ms,
    note: preview.note,
    goes: goes.slice(0, SHOWN),
    goesMore: Math.max(0, goes.length - SHOWN),
    stays: kept.slice(0, SHOWN),
    staysMore: Math.max(0, kept.length - SHOWN),
  };
}

type FormFields = Readonly<Record<'retention_mode' | 'retention_value' | `tier_${TierName}`, string>>;
type TierName = 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly';

function policyOfForm(query: FormFields): RetentionPolicy | { problem: string } {
  const count = (text: string): string => (text === '' ? '0' : text);
  try {
    return parseRetention({
      mode: query.retention_mode,
      value: query.retention_value,
      tiers: {
        hourly: count(query.tier_hourly),
        daily: count(query.tier_daily),
        weekly: count(query.tier_weekly),
        monthly: count(query.tier_monthly),
        yearly: count(query.tier_yearly),
      },
    });
  } catch (error) {
    if (!isBackupError(error, 'INVALID_INPUT')) throw error;
    const [problem] = Object.values((error.details['fields'] ?? {}) as Record<string, string>);
    return {
      problem: `${query.retention_mode === 'tiers' ? 'The numbers: ' : 'The number '}${problem ?? 'is not valid'}.`,
    };
  }
}

function fieldsOf(policy: RetentionPolicy) {
  switch (policy.mode) {
    case 'none':
      return { retention_mode: policy.mode };
    case 'keep_last_n':
      return { retention_mode: policy.mode, retention_value: policy.count };
    case 'keep_days':
      return { retention_mode: policy.mode, retention_value: policy.days };
    case 'tiers': {
      const { mode, ...tiers } = policy;
      return { retention_mode: mode, retention_json: tiers };
    }
  }
}
