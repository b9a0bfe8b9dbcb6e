import type { Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';
import type { Database, Executor } from './connect.ts';
import { toStoredPoint, type RunRow, type StoredPoint } from './run-rows.ts';

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

export interface PointListQuery {
  readonly jobId: number;
  readonly before?: string | undefined;
  readonly limit: number;
}

function toClientPoint(row: RunRow): ClientPoint {
  return { ...toStoredPoint(row), job_uuid: String(row['job_uuid']) };
}
