import type { Knex } from 'knex';
import { activeStatuses } from '../runs/state.ts';
import type { Database } from './connect.ts';
import type { ProofStatus } from './proofs.ts';
import { fromDatabaseTime } from './times.ts';

const JOBS = 's3_cloudbackup_jobs';
const RUNS = 's3_cloudbackup_runs';
const DRILLS = 's3_cloudbackup_drills';

export interface StoredDrill {
  readonly id: number;
  readonly uuid: string;
  readonly job_uuid: string;
  readonly run_uuid: string;
  readonly point_uuid: string | null;
  readonly status: ProofStatus;
  readonly files: number;
  readonly exact: number;
  readonly size_only: number;
  readonly problems: number;
  readonly bytes: number;
  readonly duration_ms: number;
  readonly canary_path: string | null;
  readonly started_at: number;
  readonly finished_at: number;
}

/** Validations and restore tests of one client. Every statement names the client. */
export class ClientProofs {
  readonly #database: Database;
  readonly #clientId: number;

  constructor(database: Database, clientId: number) {
    this.#database = database;
    this.#clientId = clientId;
  }

  /** The newest run that validated a point of this job, or null. */
  async lastValidation(jobId: number): Promise<string | null> {
    const row = (await this.lastValidationQuery(jobId)) as { uuid: string } | undefined;
    return row?.uuid ?? null;
  }

  lastValidationQuery(jobId: number): Knex.QueryBuilder {
    return this.#database
      .knex(RUNS)
      .where({ job_id: jobId, kind: 'validation', client_id: this.#clientId })
      .whereIn('validation_status', ['success', 'size_only', 'failed'])
      .orderBy('created_at', 'desc')
      .first('uuid');
  }

  /** Newest first, before the record `before`; of one job or of all. */
  async listDrills(query: {
    readonly jobId?: number | undefined;
    readonly before?: string | undefined;
    readonly limit: number;
  }): Promise<StoredDrill[]> {
    return ((await this.drillsQuery(query)) as Record<string, unknown>[]).map(toDrill);
  }

  drillsQuery(query: {
    readonly jobId?: number | undefined;
    readonly before?: string | undefined;
    readonly limit: number;
  }): Knex.QueryBuilder {
    const { knex } = this.#database;
    return knex(`${DRILLS} as d`)
      .join(`${JOBS} as j`, 'j.id', 'd.job_id')
      .where('d.client_id', this.#clientId)
      .modify((builder) => {
        if (query.jobId !== undefined) void builder.where('d.job_id', query.jobId);
        if (query.before === undefined) return;
        const last = knex(DRILLS).where({ uuid: query.before, client_id: this.#clientId }).select('id');
        void builder.where('d.id', '<', knex.raw('?', [last]));
      })
      .orderBy('d.id', 'desc')
      .limit(query.limit)
      .select('d.*', 'j.uuid as job_uuid');
  }

  /** The result of a run's validation, and whether one is queued or under way. */
  async validationOf(runUuid: string): Promise<{ status: string; excerpt: string | null } | null> {
    const row = (await this.#database
      .knex(RUNS)
      .where({ uuid: runUuid, client_id: this.#clientId })
      .first('job_uuid', 'validation_mode', 'validation_status', 'validation_log_excerpt')) as
      { job_uuid: string; validation_status: string; validation_log_excerpt: string | null } | undefined;
    if (row === undefined) return null;
    const running: unknown = await this.runningQuery(row.job_uuid, runUuid);
    return { status: running === undefined ? row.validation_status : 'running', excerpt: row.validation_log_excerpt };
  }

  /** By the unique key that validations of a job hold while they are active. */
  runningQuery(jobUuid: string, runUuid: string): Knex.QueryBuilder {
    return this.#database
      .knex(RUNS)
      .where('active_key', `backup:${jobUuid}`)
      .where({ kind: 'validation', parent_run_uuid: runUuid, client_id: this.#clientId })
      .whereIn('status', [...activeStatuses])
      .first('id');
  }
}

function toDrill(row: Record<string, unknown>): StoredDrill {
  const count = (name: string): number => Number(row[name]);
  return {
    id: count('id'),
    uuid: String(row['uuid']),
    job_uuid: String(row['job_uuid']),
    run_uuid: String(row['run_uuid']),
    point_uuid: (row['point_uuid'] as string | null) ?? null,
    status: String(row['status']) as ProofStatus,
    files: count('files'),
    exact: count('exact'),
    size_only: count('size_only'),
    problems: count('problems'),
    bytes: count('bytes'),
    duration_ms: count('duration_ms'),
    canary_path: (row['canary_path'] as string | null) ?? null,
    started_at: fromDatabaseTime(String(row['started_at'])),
    finished_at: fromDatabaseTime(String(row['finished_at'])),
  };
}
