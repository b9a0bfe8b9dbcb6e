import type { Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';
import type { Database, Executor } from './connect.ts';
import { toDatabaseTime } from './times.ts';
import { pointColumns, toStoredPoint, type RunRow, type StoredPoint } from './run-rows.ts';

const POINTS = 's3_cloudbackup_restore_points';
const JOBS = 's3_cloudbackup_jobs';

export interface ClientPoint extends StoredPoint {
  readonly job_uuid: string;
}

/** The restore points of one client's jobs, for reading. Every statement names the client. */
export class ClientPoints {
  readonly #database: Database;
  readonly #clientId: number;

  constructor(database: Database, clientId: number) {
    this.#database = database;
    this.#clientId = clientId;
  }

  /** Kept ones, the highest generation first, before the point `before`. */
  async list(query: PointListQuery): Promise<ClientPoint[]> {
    const rows = (await this.listQuery(query)) as RunRow[];
    return rows.map(toClientPoint);
  }

  listQuery(query: PointListQuery): Knex.QueryBuilder {
    const { knex } = this.#database;
    return this.#points(knex)
      .where({ 'p.job_id': query.jobId, 'p.state': 'kept' })
      .modify((builder) => {
        if (query.before === undefined) return;
        const last = knex(POINTS).where({ uuid: query.before, client_id: this.#clientId }).select('generation');
        void builder.where('p.generation', '<', knex.raw('?', [last]));
      })
      .orderBy('p.generation', 'desc')
      .limit(query.limit);
  }

  /** The newest kept point of a job that is not later than a moment (epoch milliseconds). Throws POINT_NOT_FOUND. */
  async atMoment(jobId: number, moment: number): Promise<ClientPoint> {
    const row = (await this.atMomentQuery(jobId, moment)) as RunRow | undefined;
    if (row === undefined)
      throw new BackupError('POINT_NOT_FOUND', 'There is no restore point at or before this time. Choose a later one.');
    return toClientPoint(row);
  }

  atMomentQuery(jobId: number, moment: number): Knex.QueryBuilder {
    return this.#points(this.#database.knex)
      .where({ 'p.job_id': jobId, 'p.state': 'kept' })
      .where('p.created_at', '<=', toDatabaseTime(moment))
      .orderBy('p.generation', 'desc')
      .first();
  }

  /** All that are not pruned, the highest generation first: for the time line and for planning. */
  async live(jobId: number, limit: number): Promise<HistoryPoint[]> {
    const rows = (await this.liveQuery(jobId, limit)) as RunRow[];
    return rows.map((row) => ({ ...toClientPoint(row), generation: Number(row['generation']) }));
  }

  liveQuery(jobId: number, limit: number): Knex.QueryBuilder {
    return this.#points(this.#database.knex)
      .clearSelect()
      .select(...[...pointColumns, 'generation'].map((name) => `p.${name}`), 'j.uuid as job_uuid')
      .where('p.job_id', jobId)
      .whereIn('p.state', ['kept', 'marked', 'deleting'])
      .orderBy('p.generation', 'desc')
      .limit(limit);
  }

  /**
   * Pins a point: retention leaves it alone until it is unpinned. A marked one can still be saved by it. Returns the job's row number.
   * Throws POINT_NOT_FOUND, also for one that is being deleted.
   */
  async pin(trx: Knex.Transaction, uuid: string, by: string): Promise<{ jobId: number; changed: boolean }> {
    const changed = await this.#own(trx, uuid)
      .whereNull('pinned_at')
      .update({ pinned_at: this.#database.now(), pinned_by: by });
    return { jobId: await this.#jobOf(trx, uuid), changed: changed > 0 };
  }

  /** Throws POINT_NOT_FOUND. */
  async unpin(trx: Knex.Transaction, uuid: string): Promise<{ jobId: number; changed: boolean }> {
    const changed = await this.#own(trx, uuid).whereNotNull('pinned_at').update({ pinned_at: null, pinned_by: null });
    return { jobId: await this.#jobOf(trx, uuid), changed: changed > 0 };
  }

  #own(trx: Knex.Transaction, uuid: string): Knex.QueryBuilder {
    return trx(POINTS).where({ uuid, client_id: this.#clientId }).whereIn('state', ['kept', 'marked']);
  }

  async #jobOf(trx: Knex.Transaction, uuid: string): Promise<number> {
    const row = (await this.#own(trx, uuid).first('job_id')) as { job_id: number } | undefined;
    if (row === undefined) throw new BackupError('POINT_NOT_FOUND');
    return Number(row.job_id);
  }

  /** Throws POINT_NOT_FOUND, also for one that is being removed. */
  async get(uuid: string, executor: Executor = this.#database.knex): Promise<ClientPoint> {
    const row = (await this.#points(executor).where({ 'p.uuid': uuid, 'p.state': 'kept' }).first()) as
      RunRow | undefined;
    if (row === undefined) throw new BackupError('POINT_NOT_FOUND');
    return toClientPoint(row);
  }

  #points(executor: Executor): Knex.QueryBuilder {
    return executor(`${POINTS} as p`)
      .join(`${JOBS} as j`, 'j.id', 'p.job_id')
      .where('p.client_id', this.#clientId)
      .select('p.*', 'j.uuid as job_uuid');
  }
}

export interface HistoryPoint extends ClientPoint {
  readonly generation: number;
}

export interface PointListQuery {
  readonly jobId: number;
  readonly before?: string | undefined;
  readonly limit: number;
}

function toClientPoint(row: RunRow): ClientPoint {
  return { ...toStoredPoint(row), job_uuid: String(row['job_uuid']) };
}
