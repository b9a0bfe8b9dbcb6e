import type { Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';
import { activeStatuses } from '../runs/state.ts';
import type { Database, Executor } from './connect.ts';
import { jobForRunColumns, toJobForRun, type JobForRun, type JobForRunRow } from './queue.ts';
import { fromDatabaseTimeOrNull, toDatabaseTime } from './times.ts';

const JOBS = 's3_cloudbackup_jobs';
const RUNS = 's3_cloudbackup_runs';

/** A job as its owner sees it; times are epoch milliseconds. Holds the sealed source settings: never hand it out as it is. */
export interface StoredJob {
  readonly id: number;
  readonly uuid: string;
  readonly name: string;
  readonly status: 'active' | 'paused' | 'deleted';
  readonly source_type: string;
  readonly source_display_name: string;
  readonly source_config_enc: string;
  readonly source_path: string;
  readonly source_host_key: string | null;
  readonly source_host_key_seen: string | null;
  readonly dest_bucket_id: number;
  readonly dest_bucket_name: string;
  readonly dest_prefix: string;
  readonly backup_mode: string;
  readonly engine: string;
  readonly schedule_type: string;
  readonly schedule_time: string | null;
  readonly schedule_weekday: number | null;
  readonly schedule_cron: string | null;
  readonly schedule_json: unknown;
  readonly timezone: string | null;
  readonly next_run_at: number | null;
  readonly catch_up: boolean;
  readonly start_jitter_seconds: number;
  readonly overdue_grace_seconds: number;
  readonly overdue_since: number | null;
  readonly encryption_enabled: boolean;
  readonly validation_mode: string;
  readonly retention_mode: string;
  readonly retention_value: number | null;
  readonly bandwidth_limit_kbps: number | null;
  readonly max_attempts: number;
  readonly brake_percent: number;
  readonly brake_min_files: number;
  readonly frozen_at: number | null;
  readonly frozen_reason: string | null;
  readonly frozen_run_uuid: string | null;
  readonly stored_bytes: number;
  readonly last_good_at: number | null;
  readonly notify_override_email: string | null;
  readonly notify_on_success: boolean | null;
  readonly notify_on_warning: boolean | null;
  readonly notify_on_failure: boolean | null;
  readonly created_at: number;
  readonly updated_at: number;
  /** A run has been queued: bucket, prefix, mode and encryption stay as they are. */
  readonly layout_fixed: boolean;
}

/** Columns that the owner's changes may write; times as epoch milliseconds. */
export interface JobValues {
  name?: string;
  status?: 'active' | 'paused';
  source_type?: string;
  source_display_name?: string;
  source_config_enc?: string;
  source_path?: string;
  source_host_key?: string | null;
  source_host_key_seen?: string | null;
  dest_bucket_id?: number;
  dest_bucket_name?: string;
  dest_prefix?: string;
  schedule_type?: string;
  schedule_time?: string | null;
  schedule_weekday?: number | null;
  schedule_cron?: string | null;
  /** JSON text. */
  schedule_json?: string | null;
  timezone?: string | null;
  next_run_at?: number | null;
  good_by?: number | null;
  overdue_since?: number | null;
  catch_up?: boolean;
  start_jitter_seconds?: number;
  overdue_grace_seconds?: number;
  bandwidth_limit_kbps?: number | null;
  max_attempts?: number;
  brake_percent?: number;
  brake_min_files?: number;
  /** JSON text of a list. */
  notify_override_email?: string | null;
  notify_on_success?: boolean | null;
  notify_on_warning?: boolean | null;
  notify_on_failure?: boolean | null;
}

export type NewJobValues = JobValues &
  Required<
    Pick<
      JobValues,
      'name' | 'source_type' | 'source_config_enc' | 'dest_bucket_id' | 'dest_bucket_name' | 'dest_prefix'
    >
  > & { uuid: string; s3_user_id: number };

/** The jobs of one client. Every statement names the client; a foreign job is a missing one. */
export class ClientJobs {
  readonly #database: Database;
  readonly #clientId: number;

  constructor(database: Database, clientId: number) {
    this.#database = database;
    this.#clientId = clientId;
  }

  /** Oldest first, after the job `after`; deleted jobs are left out. */
  async list(query: { after?: string | undefined; limit: number }): Promise<StoredJob[]> {
    const rows = (await this.listQuery(query)) as JobRow[];
    return rows.map(toStoredJob);
  }

  listQuery(query: { after?: string | undefined; limit: number }): Knex.QueryBuilder {
    const { knex } = this.#database;
    return this.#jobs(knex)
      .whereIn('j.status', ['active', 'paused'])
      .modify((builder) => {
        if (query.after === undefined) return;
        const last = knex(JOBS).where({ uuid: query.after, client_id: this.#clientId }).select('id');
        void builder.where('j.id', '>', knex.raw('?', [last]));
      })
      .orderBy('j.id')
      .limit(query.limit);
  }

  /** Null: none of this client's, or deleted. */
  async find(uuid: string, executor: Executor = this.#database.knex): Promise<StoredJob | null> {
    const row = (await this.#jobs(executor).where('j.uuid', uuid).whereNot('j.status', 'deleted').first()) as
      JobRow | undefined;
    return row === undefined ? null : toStoredJob(row);
  }

  /** As `find`, throwing JOB_NOT_FOUND. */
  async get(uuid: string, executor: Executor = this.#database.knex): Promise<StoredJob> {
    const job = await this.find(uuid, executor);
    if (job === null) throw new BackupError('JOB_NOT_FOUND');
    return job;
  }

  /** Number of the row, also of a deleted job: its runs and points are still there. Throws JOB_NOT_FOUND. */
  async rowId(uuid: string): Promise<number> {
    const row = (await this.#database.knex(JOBS).where({ uuid, client_id: this.#clientId }).first('id')) as
      { id: number } | undefined;
    if (row === undefined) throw new BackupError('JOB_NOT_FOUND');
    return Number(row.id);
  }

  /** What a new run takes over, also from a deleted job: its points can still be restored. Throws JOB_NOT_FOUND. */
  async forRun(trx: Knex.Transaction, uuid: string): Promise<JobForRun> {
    const row = (await trx(JOBS)
      .where({ uuid, client_id: this.#clientId })
      .first(...jobForRunColumns)) as JobForRunRow | undefined;
    if (row === undefined) throw new BackupError('JOB_NOT_FOUND');
    return toJobForRun(row);
  }

  async insert(trx: Knex.Transaction, values: NewJobValues): Promise<void> {
    await trx(JOBS).insert({
      ...toColumns(values),
      uuid: values.uuid,
      client_id: this.#clientId,
      s3_user_id: values.s3_user_id,
      created_at: this.#database.now(),
      updated_at: this.#database.now(),
    });
  }

  /** Zero rows: the job is gone meanwhile, JOB_NOT_FOUND. */
  async update(trx: Knex.Transaction, uuid: string, values: JobValues): Promise<void> {
    const changed = await this.#live(trx, uuid).update({ ...toColumns(values), updated_at: this.#database.now() });
    if (changed === 0) throw new BackupError('JOB_NOT_FOUND');
  }

  /** Moves a job that has never run to another place. False: a run was queued meanwhile, and nothing was changed. */
  async moveIfNeverRun(
    trx: Knex.Transaction,
    uuid: string,
    place: Required<Pick<JobValues, 'dest_bucket_id' | 'dest_bucket_name' | 'dest_prefix'>> & { s3_user_id: number },
  ): Promise<boolean> {
    const changed = await this.#live(trx, uuid)
      .whereNotExists(trx(RUNS).whereRaw(`${RUNS}.job_id = ${JOBS}.id`).select(trx.raw('1')))
      .update({ ...place, updated_at: this.#database.now() });
    return changed > 0;
  }

  /**
   * Marks the job as deleted; its rows, data and prefix stay. False: there is no such job, or a run of it is queued or running
   * (`isActive` tells which).
   */
  async markDeleted(trx: Knex.Transaction, uuid: string): Promise<boolean> {
    const active = trx(RUNS)
      .whereRaw(`${RUNS}.job_id = ${JOBS}.id`)
      .whereIn(`${RUNS}.status`, [...activeStatuses])
      .select(trx.raw('1'));
    const changed = await this.#live(trx, uuid).whereNotExists(active).update({
      status: 'deleted',
      deleted_at: this.#database.now(),
      next_run_at: null,
      overdue_since: null,
      updated_at: this.#database.now(),
    });
    return changed > 0;
  }

  /** Another host key than the pinned one, as a connection test saw it: the page offers it to be accepted. */
  async rememberSeenHostKey(uuid: string, hostKey: string): Promise<void> {
    await this.#live(this.#database.knex, uuid)
      .whereNotNull('source_host_key')
      .whereNot('source_host_key', hostKey)
      .update({ source_host_key_seen: hostKey, updated_at: this.#database.now() });
  }

  /** Trusts the key that was seen, if it is still the one the owner looked at. */
  async acceptHostKey(trx: Knex.Transaction, uuid: string, seen: string): Promise<boolean> {
    const changed = await this.#live(trx, uuid)
      .where('source_host_key_seen', seen)
      .update({ source_host_key: seen, source_host_key_seen: null, updated_at: this.#database.now() });
    return changed > 0;
  }

  /** False: retention was not frozen. */
  async unfreeze(trx: Knex.Transaction, uuid: string): Promise<boolean> {
    const changed = await this.#live(trx, uuid)
      .whereNotNull('frozen_at')
      .update({ frozen_at: null, frozen_reason: null, frozen_run_uuid: null, updated_at: this.#database.now() });
    return changed > 0;
  }

  /**
   * How many backup runs of each status these jobs had in each part of a time span. `bounds` are the beginnings of the parts (epoch
   * milliseconds, ascending): `part` 1 begins at the first, and so on. Counted in the database, by an index that covers it.
   */
  async countRuns(jobIds: readonly number[], bounds: readonly number[]): Promise<RunCount[]> {
    if (jobIds.length === 0 || bounds.length === 0) return [];
    const rows = (await this.countRunsQuery(jobIds, bounds)) as { [Name in keyof RunCount]: unknown }[];
    return rows.map((row) => ({
      job_id: Number(row.job_id),
      part: Number(row.part),
      status: String(row.status),
      runs: Number(row.runs),
    }));
  }

  countRunsQuery(jobIds: readonly number[], bounds: readonly number[]): Knex.QueryBuilder {
    const knex = this.#database.knex;
    const texts = bounds.map(toDatabaseTime);
    // A comparison is 1 or 0 in both databases.
    const part = knex.raw(`(${texts.map(() => '(created_at >= ?)').join(' + ')})`, texts);
    return knex(RUNS)
      .select('job_id', 'status', knex.raw('? as part', [part]), knex.raw('count(*) as runs'))
      .whereIn('job_id', jobIds)
      .where('kind', 'backup')
      .where('created_at', '>=', texts[0] ?? '')
      .groupBy('job_id', 'status', 'part');
  }

  #jobs(executor: Executor): Knex.QueryBuilder {
    const everRun = executor(`${RUNS} as r`).whereRaw('r.job_id = j.id').select(executor.raw('1'));
    return executor(`${JOBS} as j`)
      .where('j.client_id', this.#clientId)
      .select('j.*', executor.raw('exists ? as layout_fixed', [everRun]));
  }

  #live(executor: Executor, uuid: string): Knex.QueryBuilder {
    return executor(JOBS).where({ uuid, client_id: this.#clientId }).whereNot('status', 'deleted');
  }
}

export interface RunCount {
  readonly job_id: number;
  readonly part: number;
  readonly status: string;
  readonly runs: number;
}

/** Booleans and times as the columns hold them; what is absent stays absent. */
function toColumns(values: JobValues): Record<string, unknown> {
  const columns: Record<string, unknown> = { ...values };
  for (const name of ['next_run_at', 'good_by', 'overdue_since'] as const) {
    const time = values[name];
    if (time !== undefined && time !== null) columns[name] = toDatabaseTime(time);
  }
  for (const [name, value] of Object.entries(columns)) {
    if (typeof value === 'boolean') columns[name] = value ? 1 : 0;
    if (value === undefined) delete columns[name];
  }
  return columns;
}

type JobRow = Readonly<Record<string, unknown>>;

function toStoredJob(row: JobRow): StoredJob {
  const text = (name: string): string => String(row[name] ?? '');
  const textOrNull = (name: string): string | null => (row[name] === null ? null : text(name));
  const count = (name: string): number => Number(row[name]);
  const countOrNull = (name: string): number | null => (row[name] === null ? null : count(name));
  const time = (name: string): number | null => fromDatabaseTimeOrNull(textOrNull(name));
  const flag = (name: string): boolean => Boolean(Number(row[name]));
  const flagOrNull = (name: string): boolean | null => (row[name] === null ? null : flag(name));
  return {
    id: count('id'),
    uuid: text('uuid'),
    name: text('name'),
    status: text('status') as StoredJob['status'],
    source_type: text('source_type'),
    source_display_name: text('source_display_name'),
    source_config_enc: text('source_config_enc'),
    source_path: text('source_path'),
    source_host_key: textOrNull('source_host_key'),
    source_host_key_seen: textOrNull('source_host_key_seen'),
    dest_bucket_id: count('dest_bucket_id'),
    dest_bucket_name: text('dest_bucket_name'),
    dest_prefix: text('dest_prefix'),
    backup_mode: text('backup_mode'),
    engine: text('engine'),
    schedule_type: text('schedule_type'),
    schedule_time: textOrNull('schedule_time'),
    schedule_weekday: countOrNull('schedule_weekday'),
    schedule_cron: textOrNull('schedule_cron'),
    schedule_json: parseJson(textOrNull('schedule_json')),
    timezone: textOrNull('timezone'),
    next_run_at: time('next_run_at'),
    catch_up: flag('catch_up'),
    start_jitter_seconds: count('start_jitter_seconds'),
    overdue_grace_seconds: count('overdue_grace_seconds'),
    overdue_since: time('overdue_since'),
    encryption_enabled: flag('encryption_enabled'),
    validation_mode: text('validation_mode'),
    retention_mode: text('retention_mode'),
    retention_value: countOrNull('retention_value'),
    bandwidth_limit_kbps: countOrNull('bandwidth_limit_kbps'),
    max_attempts: count('max_attempts'),
    brake_percent: count('brake_percent'),
    brake_min_files: count('brake_min_files'),
    frozen_at: time('frozen_at'),
    frozen_reason: textOrNull('frozen_reason'),
    frozen_run_uuid: textOrNull('frozen_run_uuid'),
    stored_bytes: count('stored_bytes'),
    last_good_at: time('last_good_at'),
    notify_override_email: textOrNull('notify_override_email'),
    notify_on_success: flagOrNull('notify_on_success'),
    notify_on_warning: flagOrNull('notify_on_warning'),
    notify_on_failure: flagOrNull('notify_on_failure'),
    created_at: time('created_at') ?? 0,
    updated_at: time('updated_at') ?? 0,
    layout_fixed: flag('layout_fixed'),
  };
}

function parseJson(text: string | null): unknown {
  return text === null || text === '' ? null : (JSON.parse(text) as unknown);
}
