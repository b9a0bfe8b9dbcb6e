import { appendAudit } from '../database/audit.ts';
import type { Transaction } from '../database/connect.ts';
import type { JobValues, StoredJob } from '../database/job-rows.ts';
import { ClientJobs } from '../database/jobs.ts';
import { ClientKeys } from '../database/keys.ts';
import { ClientPrefixes, type Place } from '../database/prefixes.ts';
import { retentionColumns } from '../database/retention-rows.ts';
import { ClientRuns } from '../database/runs.ts';
import { ClientSources } from '../database/sources.ts';
import { BackupError } from '../errors/backup-error.ts';
import { invalidFields } from '../errors/invalid-fields.ts';
import type { Bucket } from '../host/port.ts';
import { normalisePrefix } from '../layout/keys.ts';
import type { JobChanges, NewJob } from '../protocol/job-input.ts';
import type { ConnectionTrouble, JobCard } from '../protocol/job.ts';
import { newWrappedKeys } from '../security/crypt-keys.ts';
import { fingerprintOf } from '../sources/host-key.ts';
import { refuseUnavailable } from './availability.ts';
import type { JobService } from './client.ts';
import { connectionTrouble, isProvider } from './connection-views.ts';
import { clientActor, timezoneOf, type ServiceParts } from './parts.ts';
import { planProofs } from './plan-proofs.ts';
import { planSchedule } from './plan-schedule.ts';
import { changeRetention, coolOffMs, graceMs, requestedRetention, zoneOfJob } from './retention-change.ts';
import { sourceService, type CheckedSource, type SourceService } from './source.ts';
import { lastDays, stripOf } from './strip.ts';
import { jobView, plainRunView } from './views.ts';

const PAGE = 50;

/** Jobs of one client: list, make, change, delete. */
export class JobsOfClient implements JobService {
  readonly #parts: ServiceParts;
  readonly #clientId: number;
  readonly #jobs: ClientJobs;
  readonly #runs: ClientRuns;
  readonly #prefixes: ClientPrefixes;
  readonly #keys: ClientKeys;
  readonly #sources: SourceService;

  constructor(parts: ServiceParts, clientId: number) {
    this.#parts = parts;
    this.#clientId = clientId;
    this.#jobs = new ClientJobs(parts.database, clientId);
    this.#runs = new ClientRuns(parts.database, clientId);
    this.#prefixes = new ClientPrefixes(parts.database, clientId);
    this.#keys = new ClientKeys(parts.database, clientId);
    this.#sources = sourceService(parts, clientId);
  }

  async list({ cursor, limit = PAGE }: Parameters<JobService['list']>[0] = {}): ReturnType<JobService['list']> {
    const rows = await this.#jobs.list({ after: cursor, limit: limit + 1 });
    const shown = rows.slice(0, limit);
    return { rows: await this.#cards(shown), next: rows.length > limit ? (shown.at(-1)?.uuid ?? null) : null };
  }

  async get(jobId: string): ReturnType<JobService['get']> {
    const job = await this.#jobs.get(jobId);
    return { job: jobView(job, await timezoneOf(this.#parts, this.#clientId)), source: this.#sources.view(job) };
  }

  async card(jobId: string): Promise<JobCard> {
    const [card] = await this.#cards([await this.#jobs.get(jobId)]);
    if (card === undefined) throw new BackupError('JOB_NOT_FOUND');
    return card;
  }

  async create(given: NewJob): Promise<{ jobId: string }> {
    refuseUnavailable(given);
    const state = await this.#parts.host.serviceState(this.#clientId);
    if (state === 'terminated') throw new BackupError('SERVICE_SUSPENDED');
    const uuid = this.#parts.newId();
    const bucket = await this.#findBucket(given.dest_bucket_id);
    const place = { bucketId: bucket.id, bucketName: bucket.name, prefix: spelled(given.dest_prefix ?? '', uuid) };
    const source = await this.#sources.check(given);
    await this.#sources.refuseDestination(source, place);
    const plan = await planSchedule(this.#parts, this.#clientId, uuid, given, null);
    const retention = requestedRetention(given, { mode: 'none' });
    await this.#parts.database.transaction(async (trx) => {
      await this.#prefixes.take(trx, place, { kind: 'job', uuid });
      await this.#jobs.insert(trx, {
        ...plainValues(given),
        ...plan,
        ...planProofs(given, null, this.#parts.clock()),
        ...this.#sources.columns(source, uuid),
        ...retentionColumns(retention ?? { mode: 'none' }),
        name: given.name,
        uuid,
        s3_user_id: bucket.accountId,
        dest_bucket_id: place.bucketId,
        dest_bucket_name: place.bucketName,
        dest_prefix: place.prefix,
        backup_mode: given.backup_mode === 'archive' ? 'archive' : 'sync',
        encryption_enabled: given.encryption_enabled === true,
      });
      if (given.encryption_enabled === true) await this.#makeKeys(trx, uuid);
      const encrypted = given.encryption_enabled === true ? { encrypted: true } : {};
      await this.#audit(trx, 'job.created', uuid, { bucket: place.bucketName, prefix: place.prefix, ...encrypted });
    });
    return { jobId: uuid };
  }

  async update(jobId: string, changes: JobChanges): Promise<void> {
    refuseUnavailable(changes);
    const job = await this.#jobs.get(jobId);
    const place = await this.#newPlace(job, changes);
    if (place !== null && job.layout_fixed) throw new BackupError('LAYOUT_FIXED');
    const encrypted = newEncryption(job, changes);
    const mode = newMode(job, changes);
    const source = await this.#sources.checkChanges(changes, job);
    if (source !== null || place !== null) {
      await this.#sources.refuseDestination(source ?? this.#sources.stored(job), place ?? placeOf(job));
    }
    const values: JobValues = {
      ...plainValues(changes),
      ...(await planSchedule(this.#parts, this.#clientId, jobId, changes, job)),
      ...planProofs(changes, job, this.#parts.clock()),
      ...(source === null ? {} : { ...this.#sources.columns(source, jobId), ...forgetHostKey(source, job) }),
    };
    const next = requestedRetention(changes, job.retention);
    const timezone = await zoneOfJob(this.#parts, this.#clientId, { timezone: values.timezone ?? job.timezone });
    const wait = next === null ? 0 : await coolOffMs(this.#parts);
    await this.#parts.database.transaction(async (trx) => {
      if (place !== null) await this.#move(trx, jobId, place);
      if (encrypted !== null) await this.#setEncryption(trx, jobId, encrypted);
      if (mode !== null && !(await this.#jobs.setModeIfNeverRun(trx, jobId, mode))) throw modeFixed();
      await this.#jobs.update(trx, jobId, values);
      const retention =
        next === null
          ? null
          : await changeRetention(this.#parts, this.#jobs, trx, { jobId, next, timezone, coolOffMs: wait });
      const told = retention === null || retention.kind === 'none' ? {} : { retention: { ...retention, policy: next } };
      await this.#audit(trx, 'job.changed', jobId, { fields: changedFields(changes), ...told });
    });
  }

  async delete(jobId: string, data: 'keep' | 'delete' = 'keep'): ReturnType<JobService['delete']> {
    const before = await this.#jobs.find(jobId);
    // A job that went with its data kept may still lose it; keeping it once more means nothing.
    if (before === null && data === 'delete') return await this.#giveUpData(jobId);
    const { dest_bucket_name: bucket, dest_prefix: prefix } = before ?? (await this.#jobs.get(jobId));
    const grace = await graceMs(this.#parts);
    await this.#parts.database.transaction(async (trx) => {
      if (!(await this.#jobs.markDeleted(trx, jobId, data === 'keep' ? 'keep' : { graceMs: grace }))) {
        await this.#jobs.get(jobId, trx);
        throw new BackupError('ALREADY_RUNNING');
      }
      await this.#audit(trx, 'job.deleted', jobId, { bucket, prefix, data: data === 'keep' ? 'kept' : 'grace' });
    });
    return { bucket, prefix, dataDeleteAt: data === 'keep' ? null : await this.#dataDeleteAt(jobId) };
  }

  async #giveUpData(jobId: string): ReturnType<JobService['delete']> {
    const { dest_bucket_name: bucket, dest_prefix: prefix } = await this.#jobs.getDeleted(jobId);
    const grace = await graceMs(this.#parts);
    await this.#parts.database.transaction(async (trx) => {
      // Asked twice: the first time counts.
      if (!(await this.#jobs.giveUpData(trx, jobId, grace))) return;
      await this.#audit(trx, 'job.data_given_up', jobId, { bucket, prefix });
    });
    return { bucket, prefix, dataDeleteAt: await this.#dataDeleteAt(jobId) };
  }

  async #dataDeleteAt(jobId: string): Promise<number | null> {
    return (await this.#jobs.getDeleted(jobId)).data_delete_at;
  }

  async acceptHostKey(jobId: string, fingerprint: string): Promise<void> {
    const { source_host_key_seen: seen } = await this.#jobs.get(jobId);
    if (seen === null || fingerprintOf(seen) !== fingerprint) throw new BackupError('CONFLICT');
    await this.#parts.database.transaction(async (trx) => {
      if (!(await this.#jobs.acceptHostKey(trx, jobId, seen))) throw new BackupError('CONFLICT');
      await this.#audit(trx, 'job.host_key_accepted', jobId, { fingerprint });
    });
  }

  async releaseBrake(jobId: string): Promise<{ released: boolean }> {
    const job = await this.#jobs.get(jobId);
    const released = await this.#parts.database.transaction(async (trx) => {
      if (!(await this.#jobs.unfreeze(trx, jobId))) return false;
      await this.#audit(trx, 'job.brake_released', jobId, { reason: job.frozen_reason, run: job.frozen_run_uuid });
      return true;
    });
    return { released };
  }

  async #findBucket(bucketId: number): Promise<Bucket> {
    const bucket = await this.#parts.host.bucket(this.#clientId, bucketId);
    if (bucket === null) throw new BackupError('BUCKET_NOT_FOUND');
    return bucket;
  }

  async #cards(rows: readonly StoredJob[]): Promise<JobCard[]> {
    const timezone = await timezoneOf(this.#parts, this.#clientId);
    const calendar = lastDays(this.#parts.clock(), timezone);
    const ids = rows.map((job) => job.id);
    const latest = await this.#runs.latest(ids);
    const counts = Map.groupBy(await this.#jobs.countRuns(ids, calendar.starts), (count) => count.job_id);
    const troubles = await this.#connectionTroubles(rows);
    return rows.map((job) => {
      const last = latest.get(job.id);
      const { summary, config } = this.#sources.view(job);
      return {
        ...jobView(job, timezone),
        source_summary: summary,
        connection_trouble: troubles.get(String(config['connection'])) ?? null,
        last_run: last === undefined ? null : plainRunView(last, job.name),
        strip: stripOf(calendar, counts.get(job.id) ?? [], job.overdue_since),
      };
    });
  }

  /** By the identifier of the connection. */
  async #connectionTroubles(rows: readonly StoredJob[]): Promise<Map<string, ConnectionTrouble | null>> {
    if (!rows.some(({ source_type: type }) => isProvider(type))) return new Map();
    const found = await new ClientSources(this.#parts.database, this.#clientId).inTrouble();
    return new Map(found.map((connection) => [connection.uuid, connectionTrouble(connection)]));
  }

  /** Bucket and prefix after these changes; null when they stay. Prefixes are in their one spelling, so that equal ones are equal. */
  async #newPlace(job: StoredJob, changes: JobChanges): Promise<NewPlace | null> {
    const bucketId = changes.dest_bucket_id ?? job.dest_bucket_id;
    const prefix = changes.dest_prefix === undefined ? job.dest_prefix : spelled(changes.dest_prefix ?? '', job.uuid);
    if (bucketId === job.dest_bucket_id && prefix === job.dest_prefix) return null;
    const bucket = await this.#findBucket(bucketId);
    return { bucketId: bucket.id, bucketName: bucket.name, prefix, accountId: bucket.accountId };
  }

  async #move(trx: Transaction, jobId: string, place: NewPlace): Promise<void> {
    await this.#prefixes.release(trx, { kind: 'job', uuid: jobId });
    await this.#prefixes.take(trx, place, { kind: 'job', uuid: jobId });
    const moved = await this.#jobs.moveIfNeverRun(trx, jobId, {
      dest_bucket_id: place.bucketId,
      dest_bucket_name: place.bucketName,
      dest_prefix: place.prefix,
      s3_user_id: place.accountId,
    });
    if (!moved) throw new BackupError('LAYOUT_FIXED');
  }

  async #setEncryption(trx: Transaction, jobId: string, encrypted: boolean): Promise<void> {
    if (!(await this.#jobs.encryptIfNeverRun(trx, jobId, encrypted))) throw encryptionFixed();
    if (encrypted) await this.#makeKeys(trx, jobId);
  }

  async #makeKeys(trx: Transaction, jobId: string): Promise<void> {
    const { secrets, newId } = this.#parts;
    await this.#keys.ensure(trx, jobId, () => newWrappedKeys(secrets, newId()));
  }

  async #audit(trx: Transaction, action: string, jobId: string, params: Record<string, unknown>): Promise<void> {
    const target = { targetKind: 'job', targetId: jobId, params };
    await appendAudit(this.#parts.database, trx, { ...clientActor(this.#clientId), action, ...target });
  }
}

/** What the changes make of the job's encryption; null: it stays. @throws BackupError `LAYOUT_FIXED` */
function newEncryption(job: StoredJob, { encryption_enabled: wanted }: JobChanges): boolean | null {
  if (wanted === undefined || wanted === job.encryption_enabled) return null;
  if (job.layout_fixed) throw encryptionFixed();
  return wanted;
}

function encryptionFixed(): BackupError {
  return new BackupError(
    'LAYOUT_FIXED',
    'Encryption is fixed after the first run: what lies in the bucket stays as it is. Create a second job for it, into a folder of its own.',
  );
}

/** The mode that the changes ask for; null: it stays. @throws BackupError `LAYOUT_FIXED` */
function newMode(job: StoredJob, { backup_mode: wanted = '' }: JobChanges): 'sync' | 'archive' | null {
  if (wanted === '' || wanted === job.backup_mode) return null;
  if (job.layout_fixed) throw modeFixed();
  return wanted === 'archive' ? 'archive' : 'sync';
}

function modeFixed(): BackupError {
  return new BackupError(
    'LAYOUT_FIXED',
    'The mode is fixed after the first run. Create a second job for the other one, into a folder of its own.',
  );
}

type NewPlace = Place & { readonly accountId: number };

function placeOf(job: StoredJob): Place {
  return { bucketId: job.dest_bucket_id, bucketName: job.dest_bucket_name, prefix: job.dest_prefix };
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
