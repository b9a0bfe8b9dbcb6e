import type { Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';
import { activeStatuses } from '../runs/state.ts';
import type { Database, Executor } from './connect.ts';
import { jobForRunColumns, toJobForRun, type JobForRun, type JobForRunRow } from './queue.ts';
import { toColumns, toStoredJob, type JobRow, type JobValues, type NewJobValues, type StoredJob } from './job-rows.ts';
import { toDatabaseTime } from './times.ts';

const JOBS = 's3_cloudbackup_jobs';
const RUNS = 's3_cloudbackup_runs';

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
