import type { Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';
import { activeStatuses } from '../runs/state.ts';
import type { Database, Executor } from './connect.ts';
import { jobForRunColumns, toJobForRun, type JobForRun, type JobForRunRow } from './queue.ts';
import { toColumns, toStoredJob, type JobRow, type JobValues, type NewJobValues, type StoredJob } from './job-rows.ts';
import type { RetentionColumns } from './retention-rows.ts';
import { toDatabaseTime } from './times.ts';

const JOBS = 's3_cloudbackup_jobs';
const RUNS = 's3_cloudbackup_runs';
const KEYS = 's3_cloudbackup_keys';

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

  /** As `get`, also of a deleted job: its points can still be restored. Throws JOB_NOT_FOUND. */
  async getAlsoDeleted(uuid: string): Promise<StoredJob> {
    const row = (await this.#jobs(this.#database.knex).where('j.uuid', uuid).first()) as JobRow | undefined;
    if (row === undefined) throw new BackupError('JOB_NOT_FOUND');
    return toStoredJob(row);
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
    const changed = await this.#neverRun(trx, uuid).update({ ...place, updated_at: this.#database.now() });
    return changed > 0;
  }

  /** Turns encryption on or off for a job that has never run. False: a run was queued meanwhile, and nothing was changed. */
  async encryptIfNeverRun(trx: Knex.Transaction, uuid: string, encrypted: boolean): Promise<boolean> {
    const changed = await this.#neverRun(trx, uuid).update({
      encryption_enabled: encrypted ? 1 : 0,
      updated_at: this.#database.now(),
    });
    return changed > 0;
  }

  /** Changes the mode of a job that has never run. False: a run was queued meanwhile, and nothing was changed. */
  async setModeIfNeverRun(trx: Knex.Transaction, uuid: string, mode: 'sync' | 'archive'): Promise<boolean> {
    const changed = await this.#neverRun(trx, uuid).update({ backup_mode: mode, updated_at: this.#database.now() });
    return changed > 0;
  }

  /**
   * Marks the job as deleted; its rows and prefix stay, its data too, or until the grace is over. False: there is no such job, or a run
   * of it is queued or running. Maintenance does not count: it finds that nothing is to be removed any more.
   */
  async markDeleted(
    trx: Knex.Transaction,
    uuid: string,
    data: 'keep' | { graceMs: number } = 'keep',
  ): Promise<boolean> {
    const active = trx(RUNS)
      .whereRaw(`${RUNS}.job_id = ${JOBS}.id`)
      .whereIn(`${RUNS}.status`, [...activeStatuses])
      .whereNot(`${RUNS}.kind`, 'maintenance')
      .select(trx.raw('1'));
    const changed = await this.#live(trx, uuid)
      .whereNotExists(active)
      .update({
        status: 'deleted',
        deleted_at: this.#database.now(),
        next_run_at: null,
        good_by: null,
        overdue_since: null,
        retention_pending_json: null,
        retention_acts_at: null,
        updated_at: this.#database.now(),
        ...(data === 'keep' ? {} : this.#grace(data.graceMs)),
      });
    return changed > 0;
  }

  /** The data of a job that was deleted with its data kept goes after all. False: none of this client's, or it goes already. */
  async giveUpData(trx: Knex.Transaction, uuid: string, graceMs: number): Promise<boolean> {
    const changed = await this.#deleted(trx, uuid)
      .whereIn('data_state', ['kept', 'ending'])
      .update({ ...this.#grace(graceMs), updated_at: this.#database.now() });
    return changed > 0;
  }

  /** Brings a deleted job back, paused, with all its points. False: none of this client's, or its data is going or gone. */
  async bringBack(trx: Knex.Transaction, uuid: string): Promise<boolean> {
    const changed = await this.#deleted(trx, uuid).whereIn('data_state', ['kept', 'ending', 'grace']).update({
      status: 'paused',
      data_state: 'kept',
      data_delete_at: null,
      deleted_at: null,
      maintenance_at: this.#database.now(),
      updated_at: this.#database.now(),
    });
    return changed > 0;
  }

  /** Deleted jobs whose data is not gone yet, the youngest job first, after the job `after`. */
  async listDeleted(query: { after?: string | undefined; limit: number }): Promise<StoredJob[]> {
    const rows = (await this.listDeletedQuery(query)) as JobRow[];
    return rows.map(toStoredJob);
  }

  listDeletedQuery(query: { after?: string | undefined; limit: number }): Knex.QueryBuilder {
    const { knex } = this.#database;
    return this.#jobs(knex)
      .where('j.status', 'deleted')
      .whereNot('j.data_state', 'gone')
      .modify((builder) => {
        if (query.after === undefined) return;
        const last = knex(JOBS).where({ uuid: query.after, client_id: this.#clientId }).select('id');
        void builder.where('j.id', '<', knex.raw('?', [last]));
      })
      .orderBy('j.id', 'desc')
      .limit(query.limit);
  }

  /** As `get`, for a job that was deleted and whose data is not gone yet. Throws JOB_NOT_FOUND. */
  async getDeleted(uuid: string, executor: Executor = this.#database.knex): Promise<StoredJob> {
    const row = (await this.#jobs(executor)
      .where({ 'j.uuid': uuid, 'j.status': 'deleted' })
      .whereNot('j.data_state', 'gone')
      .first()) as JobRow | undefined;
    if (row === undefined) throw new BackupError('JOB_NOT_FOUND');
    return toStoredJob(row);
  }

  /** Writes what becomes of the retention, if what is in force is still what the decision was made from. False: it is not. */
  async changeRetention(
    trx: Knex.Transaction,
    job: Pick<StoredJob, 'uuid' | keyof RetentionColumns>,
    values: JobValues,
  ): Promise<boolean> {
    const { retention_mode, retention_value, retention_json } = job;
    const changed = await this.#live(trx, job.uuid)
      .where({ retention_mode, retention_value, retention_json })
      .update({ ...toColumns(values), updated_at: this.#database.now() });
    return changed > 0;
  }

  /** Nothing waits any more: what is in force stays. False: nothing waited. */
  async dropPendingRetention(trx: Knex.Transaction, uuid: string): Promise<boolean> {
    const changed = await this.#live(trx, uuid)
      .whereNotNull('retention_pending_json')
      .update({ retention_pending_json: null, retention_acts_at: null, updated_at: this.#database.now() });
    return changed > 0;
  }

  /** Maintenance is due now. */
  async maintainSoon(trx: Knex.Transaction, jobId: number): Promise<void> {
    await trx(JOBS)
      .where({ id: jobId, client_id: this.#clientId })
      .whereNot('data_state', 'gone')
      .update({ maintenance_at: this.#database.now() });
  }

  /** Maintenance is due at this time (epoch milliseconds) at the latest. */
  async maintainBy(trx: Knex.Transaction, jobId: number, at: number): Promise<void> {
    const time = toDatabaseTime(at);
    await trx(JOBS)
      .where({ id: jobId, client_id: this.#clientId })
      .where((later) => void later.whereNull('maintenance_at').orWhere('maintenance_at', '>', time))
      .update({ maintenance_at: time });
  }

  #grace(graceMs: number): Record<string, unknown> {
    const at = this.#database.now(graceMs);
    return { data_state: 'grace', data_delete_at: at, maintenance_at: at };
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
    const changed = await this.#live(trx, uuid).whereNotNull('frozen_at').update({
      frozen_at: null,
      frozen_reason: null,
      frozen_run_uuid: null,
      maintenance_at: this.#database.now(),
      updated_at: this.#database.now(),
    });
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
    const kit = executor(KEYS).whereRaw('owner_uuid = j.uuid').min('kit_downloaded_at');
    return executor(`${JOBS} as j`)
      .where('j.client_id', this.#clientId)
      .select(
        'j.*',
        executor.raw('exists ? as layout_fixed', [everRun]),
        executor.raw('? as kit_downloaded_at', [kit]),
      );
  }

  #deleted(executor: Executor, uuid: string): Knex.QueryBuilder {
    return executor(JOBS).where({ uuid, client_id: this.#clientId, status: 'deleted' });
  }

  #neverRun(trx: Knex.Transaction, uuid: string): Knex.QueryBuilder {
    const run = trx(RUNS).whereRaw(`${RUNS}.job_id = ${JOBS}.id`).select(trx.raw('1'));
    return this.#live(trx, uuid).whereNotExists(run);
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
