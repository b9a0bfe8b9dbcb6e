import type { Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';
import { event } from '../events/catalogue.ts';
import { endEvents } from '../events/endings.ts';
import { ownedStatuses, statusesBefore, type RunKind } from '../runs/state.ts';
import type { Database, Executor } from './connect.ts';
import { appendEvents } from './events.ts';
import {
  pointColumns,
  skipCodes,
  toListedRun,
  toStoredRun,
  type ListedRun,
  type RunRow,
  type StoredRun,
} from './run-rows.ts';

const RUNS = 's3_cloudbackup_runs';
const JOBS = 's3_cloudbackup_jobs';
const POINTS = 's3_cloudbackup_restore_points';

/** The runs of one client. Every statement names the client; a foreign run is a missing one. */
export class ClientRuns {
  readonly #database: Database;
  readonly #clientId: number;

  constructor(database: Database, clientId: number) {
    this.#database = database;
    this.#clientId = clientId;
  }

  /** What pages poll: one row by its unique key. Throws RUN_NOT_FOUND. */
  async get(uuid: string): Promise<StoredRun> {
    const row = (await this.getQuery(uuid)) as RunRow | undefined;
    if (row === undefined) throw new BackupError('RUN_NOT_FOUND');
    return toStoredRun(row);
  }

  getQuery(uuid: string): Knex.QueryBuilder {
    return this.#database.knex(RUNS).where({ uuid, client_id: this.#clientId }).first('*');
  }

  /** With job and point. Throws RUN_NOT_FOUND. */
  async getListed(uuid: string): Promise<ListedRun> {
    const { knex } = this.#database;
    const one = knex(RUNS).where({ uuid, client_id: this.#clientId }).select('id');
    const row = (await listedRuns(knex, one).first()) as RunRow | undefined;
    if (row === undefined) throw new BackupError('RUN_NOT_FOUND');
    return toListedRun(row);
  }

  /** Newest first, before the run `before`; of one job or of all. */
  async list(query: RunListQuery): Promise<ListedRun[]> {
    const rows = (await this.listQuery(query)) as RunRow[];
    return rows.map(toListedRun);
  }

  listQuery(query: RunListQuery): Knex.QueryBuilder {
    const { knex } = this.#database;
    const page = runPage(knex, { limit: query.limit, before: query.before, ofClient: this.#clientId });
    if (query.jobId !== undefined) void page.where('job_id', query.jobId);
    return listedRuns(knex, page);
  }

  /** The newest backup run of each of these jobs that was not skipped, by the job's row number. */
  async latest(jobIds: readonly number[]): Promise<Map<number, StoredRun>> {
    if (jobIds.length === 0) return new Map();
    const rows = (await this.latestQuery(jobIds)) as RunRow[];
    return new Map(rows.map((row) => [Number(row['job_id']), toStoredRun(row)]));
  }

  latestQuery(jobIds: readonly number[]): Knex.QueryBuilder {
    const knex = this.#database.knex;
    const newest = knex(`${RUNS} as n`)
      .whereRaw('n.job_id = j.id')
      .where('n.kind', 'backup')
      .where((kept) => void kept.whereNull('n.error_code').orWhereNotIn('n.error_code', [...skipCodes]))
      .orderBy('n.created_at', 'desc')
      .limit(1)
      .select('n.id');
    return knex(`${JOBS} as j`)
      .join(`${RUNS} as r`, 'r.id', knex.raw('?', [newest]))
      .whereIn('j.id', [...jobIds])
      .where('j.client_id', this.#clientId)
      .select('r.*');
  }

  /** Throws RUN_NOT_FOUND, RUN_NOT_CANCELLABLE. */
  async cancel(trx: Knex.Transaction, uuid: string, options: { force: boolean }): Promise<'cancelled' | 'stopping'> {
    const own = { uuid, client_id: this.#clientId };
    const run = (await trx(RUNS).where(own).first('id', 'kind')) as { id: number; kind: RunKind } | undefined;
    if (run === undefined) throw new BackupError('RUN_NOT_FOUND');
    return await cancelRun(this.#database, trx, run, options);
  }
}

export interface RunListQuery {
  readonly jobId?: number | undefined;
  readonly before?: string | undefined;
  readonly limit: number;
}

/**
 * Numbers of one page of runs, newest first, from the runs' table alone: only then may other tables be joined, or the database might
 * begin with one of those and sort everything. Callers add further conditions.
 */
export function runPage(
  knex: Knex,
  query: { limit: number; before?: string | undefined; ofClient?: number },
): Knex.QueryBuilder {
  const own = query.ofClient === undefined ? {} : { client_id: query.ofClient };
  const from =
    query.before === undefined
      ? null
      : knex(RUNS)
          .where({ uuid: query.before, ...own })
          .select('id');
  return knex(RUNS)
    .where(own)
    .where('id', '<', from === null ? Number.MAX_SAFE_INTEGER : knex.raw('?', [from]))
    .orderBy('id', 'desc')
    .limit(query.limit)
    .select('id');
}

/** These runs, newest first, with what lists show beside them. */
export function listedRuns(executor: Executor, ids: Knex.QueryBuilder): Knex.QueryBuilder {
  return executor(ids.as('page'))
    .join(`${RUNS} as r`, 'r.id', 'page.id')
    .join(`${JOBS} as j`, 'j.id', 'r.job_id')
    .leftJoin(
      `${POINTS} as p`,
      (on) => void on.on('p.run_id', 'r.id').onVal('p.engine', 'sync').onVal('p.manifest_id', ''),
    )
    .orderBy('r.id', 'desc')
    .select('r.*', 'j.name as job_name', ...pointColumns.map((name) => `p.${name} as point_${name}`));
}

/**
 * A queued run ends at once, a running one is asked to stop; `force` makes its owner kill the child instead of waiting for it. The key
 * that keeps other runs of the job out goes only when the owner has confirmed or its lease is over. Throws RUN_NOT_CANCELLABLE.
 */
export async function cancelRun(
  database: Database,
  trx: Knex.Transaction,
  run: { readonly id: number; readonly kind: RunKind },
  options: { force: boolean },
): Promise<'cancelled' | 'stopping'> {
  const runId = Number(run.id);
  const ended = await trx(RUNS).where('id', runId).whereIn('status', statusesBefore('cancel', 'cancelled')).update({
    status: 'cancelled',
    phase: 'finished',
    active_key: null,
    cancel_requested: 1,
    error_code: 'ERR_CANCELLED',
    finished_at: database.now(),
    updated_at: database.now(),
  });
  if (ended > 0) {
    await appendEvents(trx, database, runId, endEvents(run.kind, 'cancelled'));
    return 'cancelled';
  }
  const asked = await trx(RUNS)
    .where('id', runId)
    .whereIn('status', [...ownedStatuses])
    .update({
      cancel_requested: 1,
      ...(options.force ? { cancel_forced: 1 } : {}),
      updated_at: database.now(),
    });
  if (asked === 0) throw new BackupError('RUN_NOT_CANCELLABLE');
  await appendEvents(trx, database, runId, [event('CANCEL_REQUESTED', { forced: options.force })]);
  return 'stopping';
}
