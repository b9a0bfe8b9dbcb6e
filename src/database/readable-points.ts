import type { Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';
import type { Database } from './connect.ts';
import { fromDatabaseTime, toDatabaseTime } from './times.ts';

const POINTS = 's3_cloudbackup_restore_points';
const JOBS = 's3_cloudbackup_jobs';

/** Where a kept restore point lies, for those who read it. */
export interface ReadablePoint {
  readonly id: number;
  readonly uuid: string;
  readonly jobUuid: string;
  readonly jobName: string;
  readonly encrypted: boolean;
  readonly runUuid: string;
  readonly claimName: string;
  readonly manifestSha256: string;
  readonly bucketId: number;
  readonly bucket: string;
  readonly prefix: string;
  readonly files: number;
  /** Epoch milliseconds. */
  readonly createdAt: number;
}

/** The kept points of one client, for reading what is in them. Every statement names the client. */
export class ReadablePoints {
  readonly #database: Database;
  readonly #clientId: number;

  constructor(database: Database, clientId: number) {
    this.#database = database;
    this.#clientId = clientId;
  }

  /** Throws POINT_NOT_FOUND, also for one that is being removed. */
  async get(uuid: string): Promise<ReadablePoint> {
    const row: unknown = await this.#kept().where('p.uuid', uuid).first();
    if (row === undefined) throw new BackupError('POINT_NOT_FOUND');
    return toReadable(row as Record<string, unknown>);
  }

  /** Newest first, from the one behind `before` on. */
  async ofJob(query: ReadablePointQuery): Promise<ReadablePoint[]> {
    return ((await this.ofJobQuery(query)) as Record<string, unknown>[]).map(toReadable);
  }

  ofJobQuery(query: ReadablePointQuery): Knex.QueryBuilder {
    const { knex } = this.#database;
    return this.#kept()
      .where('p.job_id', query.jobId)
      .modify((builder) => {
        if (query.before === undefined) return;
        const last = knex(POINTS).where({ uuid: query.before, client_id: this.#clientId }).select('generation');
        void builder.where('p.generation', '<', knex.raw('?', [last]));
      })
      .orderBy('p.generation', 'desc')
      .limit(query.limit);
  }

  /** The newest point that is not later than this moment (epoch milliseconds), or null. */
  async at(jobId: number, moment: number): Promise<ReadablePoint | null> {
    const row: unknown = await this.atQuery(jobId, moment);
    return row === undefined ? null : toReadable(row as Record<string, unknown>);
  }

  atQuery(jobId: number, moment: number): Knex.QueryBuilder {
    return this.#kept()
      .where('p.job_id', jobId)
      .where('p.created_at', '<=', toDatabaseTime(moment))
      .orderBy('p.generation', 'desc')
      .first();
  }

  #kept(): Knex.QueryBuilder {
    return this.#database
      .knex(`${POINTS} as p`)
      .join(`${JOBS} as j`, 'j.id', 'p.job_id')
      .where({ 'p.client_id': this.#clientId, 'p.state': 'kept' })
      .select('p.*', 'j.uuid as job_uuid', 'j.name as job_name', 'j.encryption_enabled as encrypted');
  }
}

export interface ReadablePointQuery {
  readonly jobId: number;
  /** uuid */
  readonly before?: string | undefined;
  readonly limit: number;
}

function toReadable(row: Record<string, unknown>): ReadablePoint {
  return {
    id: Number(row['id']),
    uuid: String(row['uuid']),
    jobUuid: String(row['job_uuid']),
    jobName: String(row['job_name']),
    encrypted: Number(row['encrypted']) !== 0,
    runUuid: String(row['run_uuid']),
    claimName: String(row['claim_name']),
    manifestSha256: String(row['manifest_sha256']),
    bucketId: Number(row['dest_bucket_id']),
    bucket: String(row['dest_bucket']),
    prefix: String(row['dest_prefix']),
    files: Number(row['files']),
    createdAt: fromDatabaseTime(String(row['created_at'])),
  };
}
