import { appendAudit } from '../database/audit.ts';
import { ClientJobs, type JobValues, type StoredJob } from '../database/jobs.ts';
import { ClientPrefixes, type Place } from '../database/prefixes.ts';
import { ClientRuns } from '../database/runs.ts';
import { BackupError } from '../errors/backup-error.ts';
import { invalidFields } from '../errors/invalid-fields.ts';
import type { Bucket } from '../host/port.ts';
import { normalisePrefix } from '../layout/keys.ts';
import type { JobChanges, NewJob } from '../protocol/job-input.ts';
import type { JobCard } from '../protocol/job.ts';
import { fingerprintOf } from '../sources/host-key.ts';
import { refuseUnavailable } from './availability.ts';
import type { JobService } from './client.ts';
import { clientActor, timezoneOf, type ServiceParts } from './parts.ts';
import { planSchedule } from './plan-schedule.ts';
import { sourceService, type CheckedSource } from './source.ts';
import { lastDays, stripOf } from './strip.ts';
import { jobView, plainRunView } from './views.ts';

const PAGE = 50;

/** Jobs of one client: list, make, change, delete. */
export function jobService(parts: ServiceParts, clientId: number): JobService {
  const { database } = parts;
  const jobs = new ClientJobs(database, clientId);
  const runs = new ClientRuns(database, clientId);
  const prefixes = new ClientPrefixes(database, clientId);
  const sources = sourceService(parts);
  const audit = (action: string, jobId: string, params?: Record<string, unknown>) => ({
    ...clientActor(clientId),
    action,
    targetKind: 'job',
    targetId: jobId,
    ...(params === undefined ? {} : { params }),
  });

  async function findBucket(bucketId: number): Promise<Bucket> {
    const bucket = await parts.host.bucket(clientId, bucketId);
    if (bucket === null) throw new BackupError('BUCKET_NOT_FOUND');
    return bucket;
  }

  async function cards(rows: readonly StoredJob[]): Promise<JobCard[]> {
    const timezone = await timezoneOf(parts, clientId);
    const calendar = lastDays(parts.clock(), timezone);
    const ids = rows.map((job) => job.id);
    const [latest, counts] = await Promise.all([runs.latest(ids), jobs.countRuns(ids, calendar.starts)]);
    return rows.map((job) => {
      const last = latest.get(job.id);
      const own = counts.filter((count) => count.job_id === job.id);
      return {
        ...jobView(job, timezone),
        source_summary: sources.view(job).summary,
        last_run: last === undefined ? null : plainRunView(last, job.name),
        strip: stripOf(calendar, own, job.overdue_since),
      };
    });
  }

  /** Bucket and prefix after these changes; null when they stay. Prefixes are in their one spelling, so that equal ones are equal. */
  async function newPlace(job: StoredJob, changes: JobChanges): Promise<(Place & { accountId: number }) | null> {
    const bucketId = changes.dest_bucket_id ?? job.dest_bucket_id;
    const prefix = changes.dest_prefix === undefined ? job.dest_prefix : spelled(changes.dest_prefix ?? '', job.uuid);
    if (bucketId === job.dest_bucket_id && prefix === job.dest_prefix) return null;
    const bucket = await findBucket(bucketId);
    return { bucketId: bucket.id, bucketName: bucket.name, prefix, accountId: bucket.accountId };
  }

  return {
    async list({ cursor, limit = PAGE } = {}) {
      const rows = await jobs.list({ after: cursor, limit: limit + 1 });
      const shown = rows.slice(0, limit);
      return { rows: await cards(shown), next: rows.length > limit ? (shown.at(-1)?.uuid ?? null) : null };
    },

    async get(jobId) {
      const job = await jobs.get(jobId);
      return { job: jobView(job, await timezoneOf(parts, clientId)), source: sources.view(job) };
    },

    async card(jobId) {
      const [card] = await cards([await jobs.get(jobId)]);
      if (card === undefined) throw new BackupError('JOB_NOT_FOUND');
      return card;
    },

    async create(given: NewJob) {
      refuseUnavailable(given);
      if ((await parts.host.serviceState(clientId)) === 'terminated') throw new BackupError('SERVICE_SUSPENDED');
      const uuid = parts.newId();
      const bucket = await findBucket(given.dest_bucket_id);
      const prefix = spelled(given.dest_prefix ?? '', uuid);
      const source = await sources.check(given);
      const place = { bucketId: bucket.id, bucketName: bucket.name, prefix };
      await sources.refuseDestination(source, place);
      const plan = await planSchedule(parts, clientId, uuid, given, null);
      await database.transaction(async (trx) => {
        await prefixes.take(trx, place, { kind: 'job', uuid });
        await jobs.insert(trx, {
          ...plainValues(given),
          ...plan,
          ...sources.columns(source, uuid),
          name: given.name,
          uuid,
          s3_user_id: bucket.accountId,
          dest_bucket_id: bucket.id,
          dest_bucket_name: bucket.name,
          dest_prefix: prefix,
        });
        await appendAudit(database, trx, audit('job.created', uuid, { bucket: bucket.name, prefix }));
      });
      return { jobId: uuid };
    },

    async update(jobId, changes) {
      refuseUnavailable(changes);
      const job = await jobs.get(jobId);
      const place = await newPlace(job, changes);
      if (place !== null && job.layout_fixed) throw new BackupError('LAYOUT_FIXED');
      const source = await sources.checkChanges(changes, job);
      const target = place ?? {
        bucketId: job.dest_bucket_id,
        bucketName: job.dest_bucket_name,
        prefix: job.dest_prefix,
      };
      if (source !== null || place !== null) {
        await sources.refuseDestination(source ?? sources.stored(job), target);
      }
      const plan = await planSchedule(parts, clientId, jobId, changes, job);
      const values: JobValues = {
        ...plainValues(changes),
        ...plan,
        ...(source === null ? {} : { ...sources.columns(source, jobId), ...forgetHostKey(source, job) }),
      };
      await database.transaction(async (trx) => {
        if (place !== null) {
          await prefixes.release(trx, { kind: 'job', uuid: jobId });
          await prefixes.take(trx, place, { kind: 'job', uuid: jobId });
          const moved = await jobs.moveIfNeverRun(trx, jobId, {
            dest_bucket_id: place.bucketId,
            dest_bucket_name: place.bucketName,
            dest_prefix: place.prefix,
            s3_user_id: place.accountId,
          });
          if (!moved) throw new BackupError('LAYOUT_FIXED');
        }
        await jobs.update(trx, jobId, values);
        await appendAudit(database, trx, audit('job.changed', jobId, { fields: changedFields(changes) }));
      });
    },

    async delete(jobId) {
      const job = await jobs.get(jobId);
      await database.transaction(async (trx) => {
        if (!(await jobs.markDeleted(trx, jobId))) {
          await jobs.get(jobId, trx);
          throw new BackupError('ALREADY_RUNNING');
        }
        const kept = { bucket: job.dest_bucket_name, prefix: job.dest_prefix, data: 'kept' };
        await appendAudit(database, trx, audit('job.deleted', jobId, kept));
      });
      return { bucket: job.dest_bucket_name, prefix: job.dest_prefix };
    },

    async acceptHostKey(jobId, fingerprint) {
      const job = await jobs.get(jobId);
      const seen = job.source_host_key_seen;
      if (seen === null || fingerprintOf(seen) !== fingerprint) throw new BackupError('CONFLICT');
      await database.transaction(async (trx) => {
        if (!(await jobs.acceptHostKey(trx, jobId, seen))) throw new BackupError('CONFLICT');
        await appendAudit(database, trx, audit('job.host_key_accepted', jobId, { fingerprint }));
      });
    },

    async releaseBrake(jobId) {
      const job = await jobs.get(jobId);
      const released = await database.transaction(async (trx) => {
        if (!(await jobs.unfreeze(trx, jobId))) return false;
        const brake = { reason: job.frozen_reason, run: job.frozen_run_uuid };
        await appendAudit(database, trx, audit('job.brake_released', jobId, brake));
        return true;
      });
      return { released };
    },
  };
}

/** @throws BackupError `INVALID_INPUT` that names the field */
function spelled(prefix: string, jobUuid: string): string {
  try {
    return normalisePrefix(prefix, jobUuid);
  } catch (error) {
    throw invalidFields([['dest_prefix', error instanceof Error ? error.message : 'is not a folder']]);
  }
}

/** Fields that go into their columns as they are. */
function plainValues(given: JobChanges): JobValues {
  const values: { [Name in keyof JobValues]?: JobValues[Name] | undefined } = {
    name: given.name,
    status: given.status,
    catch_up: given.catch_up,
    bandwidth_limit_kbps: given.bandwidth_limit_kbps === 0 ? null : given.bandwidth_limit_kbps,
    max_attempts: given.max_attempts,
    brake_percent: given.brake_percent,
    brake_min_files: given.brake_min_files,
    notify_on_success: given.notify_on_success,
    notify_on_warning: given.notify_on_warning,
    notify_on_failure: given.notify_on_failure,
    notify_override_email: storedEmails(given.notify_override_email),
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function storedEmails(addresses: readonly string[] | null | undefined): string | null | undefined {
  if (addresses === undefined) return undefined;
  return addresses === null || addresses.length === 0 ? null : JSON.stringify(addresses);
}

/** Another server has another key: the pinned one is forgotten with the old address. */
function forgetHostKey(source: CheckedSource, job: StoredJob): JobValues {
  if (!source.otherServer || (job.source_host_key === null && job.source_host_key_seen === null)) return {};
  return { source_host_key: null, source_host_key_seen: null };
}

/** Names only: values may be secrets. */
function changedFields(changes: JobChanges): string[] {
  return Object.entries(changes)
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name);
}
