import { appendAudit } from '../database/audit.ts';
import type { Transaction } from '../database/connect.ts';
import type { StoredJob } from '../database/job-rows.ts';
import { ClientJobs } from '../database/jobs.ts';
import { ClientPoints, type HistoryPoint } from '../database/points.ts';
import { samePolicy } from '../database/retention-rows.ts';
import { fromDatabaseTime } from '../database/times.ts';
import { BackupError } from '../errors/backup-error.ts';
import type { DeletedJobView, JudgedPointView, RetentionPreview } from '../protocol/retention.ts';
import { times } from '../protocol/times.ts';
import { freedAtLeast } from '../retention/freed.ts';
import { planRetention, type RetentionPoint, type Verdict } from '../retention/plan.ts';
import { keepsLess, type RetentionPolicy } from '../retention/policy.ts';
import type { PointHistory, RetentionService } from './client.ts';
import { clientActor, type ServiceParts } from './parts.ts';
import { coolOffMs, graceMs, requestedRetention, zoneOfJob } from './retention-change.ts';
import { clientPointView } from './views.ts';

const PAGE = 50;
const DAY = 86_400_000;
/** More are not looked at for a page: a point an hour for more than two years. */
const MOST_POINTS = 20_000;

/** Retention of one client's jobs: what it would do, pins, undoing what waits, bringing deleted jobs back. */
export function retentionService(parts: ServiceParts, clientId: number): RetentionService {
  const { database } = parts;
  const jobs = new ClientJobs(database, clientId);
  const points = new ClientPoints(database, clientId);

  async function audit(trx: Transaction, action: string, kind: 'job' | 'point', id: string): Promise<void> {
    await appendAudit(database, trx, { ...clientActor(clientId), action, targetKind: kind, targetId: id });
  }

  /** The points that are not being deleted yet, and the moment by which they are judged. */
  async function situation(job: StoredJob) {
    const [live, now, timezone] = await Promise.all([
      points.live(job.id, MOST_POINTS),
      database.readClock().then(fromDatabaseTime),
      zoneOfJob(parts, clientId, job),
    ]);
    return { live, open: live.filter((point) => point.state !== 'deleting'), at: { now, timezone } };
  }

  return {
    async preview(jobId, given) {
      const job = await jobs.get(jobId);
      const asked = requestedRetention(given, job.retention);
      const policy = asked ?? job.retention_pending ?? job.retention;
      const { open, at } = await situation(job);
      const verdicts = planRetention(policy, open.map(toPlanned), at);
      const bucket = await parts.host.bucket(clientId, job.dest_bucket_id);
      const waits = await coolOffMs(parts);
      const less = waits > 0 && keepsLess(policy, job.retention, open.map(toPlanned), at);
      const pending = job.retention_pending !== null && samePolicy(policy, job.retention_pending);
      return {
        retention: policy,
        points: open.map((point, index) => judged(point, verdicts[index], policy)),
        kept: verdicts.filter(({ keep }) => keep).length,
        removed: verdicts.filter(({ keep }) => !keep).length,
        freed_bytes_at_least: freedAtLeast(
          open.map((point, index) => ({
            generation: point.generation,
            bytes: point.bytes,
            addedBytes: point.added_bytes,
            keep: verdicts[index]?.keep ?? true,
          })),
          job.stored_bytes,
        ),
        stored_bytes: job.stored_bytes,
        ...times({ acts_at: pending ? job.retention_acts_at : less ? at.now + waits : null }),
        frozen: job.frozen_at !== null,
        bucket: { versioning: bucket?.versioning ?? false, object_lock: bucket?.objectLock ?? false },
        note: noteOf(job, bucket),
      } satisfies RetentionPreview;
    },

    async history(jobId) {
      const job = await jobs.get(jobId);
      const { live, open, at } = await situation(job);
      const now = new Map(planRetention(job.retention, open.map(toPlanned), at).map((one) => [one.id, one]));
      const pending = job.retention_pending;
      const frozen = job.frozen_at !== null;
      const later = new Map(
        (pending === null ? [] : planRetention(pending, open.map(toPlanned), at)).map((one) => [one.id, one]),
      );
      return {
        points: live.map((point) => {
          const view = judged(point, now.get(point.uuid), job.retention);
          // Whatever is planned: until somebody releases it, nothing goes.
          if (frozen && point.state !== 'deleting') {
            return { ...view, keep: true, reasons: view.keep ? view.reasons : ['frozen'], ...times({ goes_at: null }) };
          }
          const goesLater = view.keep && later.get(point.uuid)?.keep === false;
          return goesLater ? { ...view, ...times({ goes_at: job.retention_acts_at }) } : view;
        }),
        stored_bytes: job.stored_bytes,
      } satisfies PointHistory;
    },

    async pin(pointId) {
      await database.transaction(async (trx) => {
        const { changed } = await points.pin(trx, pointId, `client ${clientId}`);
        if (changed) await audit(trx, 'point.pinned', 'point', pointId);
      });
    },

    async unpin(pointId) {
      await database.transaction(async (trx) => {
        const { changed, jobId } = await points.unpin(trx, pointId);
        if (!changed) return;
        await jobs.maintainSoon(trx, jobId);
        await audit(trx, 'point.unpinned', 'point', pointId);
      });
    },

    async undo(jobId) {
      return await database.transaction(async (trx) => {
        await jobs.get(jobId, trx);
        if (!(await jobs.dropPendingRetention(trx, jobId))) return { undone: false };
        await audit(trx, 'retention.undone', 'job', jobId);
        return { undone: true };
      });
    },

    async deleted({ cursor, limit = PAGE } = {}) {
      const rows = await jobs.listDeleted({ after: cursor, limit: limit + 1 });
      const shown = rows.slice(0, limit);
      return { rows: shown.map(deletedView), next: rows.length > limit ? (shown.at(-1)?.uuid ?? null) : null };
    },

    graceMs: async () => await graceMs(parts),

    async undelete(jobId) {
      // What a terminated service has stays as it is: bringing it back again and again must not begin the host's grace anew.
      if ((await parts.host.serviceState(clientId)) === 'terminated') throw new BackupError('SERVICE_SUSPENDED');
      await database.transaction(async (trx) => {
        const job = await jobs.getDeleted(jobId, trx);
        if (!(await jobs.bringBack(trx, jobId))) throw new BackupError('DATA_BEING_DELETED');
        await appendAudit(database, trx, {
          ...clientActor(clientId),
          action: 'job.undeleted',
          targetKind: 'job',
          targetId: jobId,
          params: { data: job.data_state },
        });
      });
    },
  };
}

function toPlanned(point: HistoryPoint): RetentionPoint {
  return {
    id: point.uuid,
    createdAt: point.created_at,
    generation: point.generation,
    status: point.status === 'success' ? 'success' : 'warning',
    pinned: point.pinned,
  };
}

function judged(point: HistoryPoint, verdict: Verdict | undefined, policy: RetentionPolicy): JudgedPointView {
  const keep = verdict?.keep ?? false;
  const reasons = [...(verdict?.reasons ?? [])];
  // Only age can be told beforehand: everything else depends on runs to come.
  const aged = policy.mode === 'keep_days' && reasons.length === 1 && reasons[0] === 'age';
  return {
    ...clientPointView(point),
    keep,
    reasons,
    ...times({ goes_at: aged ? point.created_at + policy.days * DAY : null }),
  };
}

function noteOf(
  job: Pick<StoredJob, 'frozen_at'>,
  bucket: { readonly versioning: boolean; readonly objectLock: boolean } | null,
): string | null {
  const notes = [
    ...(job.frozen_at === null ? [] : ['Retention of this job is stopped: nothing goes until somebody releases it.']),
    ...(bucket?.objectLock === true
      ? ['The bucket locks its objects: room comes back only when their lock has ended.']
      : bucket?.versioning === true
        ? ['The bucket keeps versions: room comes back only when its old versions expire.']
        : []),
  ];
  return notes.length === 0 ? null : notes.join(' ');
}

function deletedView(job: StoredJob): DeletedJobView {
  return {
    job_id: job.uuid,
    name: job.name,
    dest_bucket_name: job.dest_bucket_name,
    dest_prefix: job.dest_prefix,
    stored_bytes: job.stored_bytes,
    encryption_enabled: job.encryption_enabled,
    data_state: job.data_state === 'gone' ? 'deleting' : job.data_state,
    ...times({
      deleted_at: job.deleted_at,
      data_delete_at: job.data_state === 'grace' || job.data_state === 'ending' ? job.data_delete_at : null,
    }),
  };
}
