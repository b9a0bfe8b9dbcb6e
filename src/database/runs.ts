import type { Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';
import { event } from '../events/catalogue.ts';
import { isTerminal, ownedStatuses, statusesBefore, type RunKind, type RunStatus } from '../runs/state.ts';
import type { Database, Executor } from './connect.ts';
import { appendEvents } from './events.ts';
import { fromDatabaseTime, fromDatabaseTimeOrNull } from './times.ts';

const RUNS = 's3_cloudbackup_runs';
const JOBS = 's3_cloudbackup_jobs';
const POINTS = 's3_cloudbackup_restore_points';

/** A run as it is stored; times are epoch milliseconds. */
export interface StoredRun {
  readonly id: number;
  readonly uuid: string;
  readonly job_uuid: string;
  readonly client_id: number;
  readonly kind: RunKind;
  readonly trigger_type: string;
  readonly start_reason: string | null;
  readonly status: RunStatus;
  readonly phase: string | null;
  readonly cancel_requested: boolean;
  readonly cancel_forced: boolean;
  readonly error_code: string | null;
  readonly error_summary: string | null;
  readonly worker_host: string | null;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly event_seq: number;
  readonly progress_pct: number;
  readonly bytes_total: number;
  readonly bytes_transferred: number;
  readonly bytes_processed: number;
  readonly objects_total: number;
  readonly objects_transferred: number;
  readonly speed_bytes_per_sec: number;
  readonly eta_seconds: number | null;
  readonly current_item: string | null;
  readonly created_at: number;
  readonly started_at: number | null;
  readonly finished_at: number | null;
  readonly not_before: number | null;
}

/** With the name of its job, and the point that it left. */
export interface ListedRun extends StoredRun {
  readonly job_name: string;
  readonly point: StoredPoint | null;
}

export interface StoredPoint {
  readonly id: number;
  readonly uuid: string;
  readonly run_uuid: string;
  readonly state: 'kept' | 'marked' | 'deleting' | 'pruned';
  readonly status: string;
  readonly complete: boolean;
  readonly files: number;
  readonly carried: number;
  readonly failed: number;
  readonly bytes: number;
  readonly added_bytes: number;
  readonly pinned: boolean;
  readonly created_at: number;
}

/** Codes with which a scheduled slot was left out: such a run never was queued. */
export const skipCodes = ['ERR_SLOT_OVERLAP', 'ERR_SLOT_MISSED', 'SERVICE_SUSPENDED', 'ERR_SCHEDULE_INVALID'] as const;

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
    const run = (await trx(RUNS).where({ uuid, client_id: this.#clientId }).first('id')) as { id: number } | undefined;
    if (run === undefined) throw new BackupError('RUN_NOT_FOUND');
    return await cancelRun(this.#database, trx, Number(run.id), options);
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
  runId: number,
  options: { force: boolean },
): Promise<'cancelled' | 'stopping'> {
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
    await appendEvents(trx, database, runId, [event('CANCELLED')]);
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

const pointColumns = [
  'id',
  'uuid',
  'run_uuid',
  'state',
  'status',
  'complete',
  'files',
  'carried',
  'failed',
  'bytes',
  'added_bytes',
  'pinned_at',
  'created_at',
] as const;

export type RunRow = Readonly<Record<string, unknown>>;

export function toStoredRun(row: RunRow): StoredRun {
  const text = (name: string): string => String(row[name] ?? '');
  const textOrNull = (name: string): string | null => (row[name] === null ? null : text(name));
  const count = (name: string): number => Number(row[name] ?? 0);
  const time = (name: string): number | null => fromDatabaseTimeOrNull(textOrNull(name));
  return {
    id: count('id'),
    uuid: text('uuid'),
    job_uuid: text('job_uuid'),
    client_id: count('client_id'),
    kind: text('kind') as RunKind,
    trigger_type: text('trigger_type'),
    start_reason: textOrNull('start_reason'),
    status: text('status') as RunStatus,
    phase: textOrNull('phase'),
    cancel_requested: count('cancel_requested') !== 0,
    cancel_forced: count('cancel_forced') !== 0,
    error_code: textOrNull('error_code'),
    error_summary: textOrNull('error_summary'),
    worker_host: textOrNull('worker_host'),
    attempt: count('attempt'),
    max_attempts: count('max_attempts'),
    event_seq: count('event_seq'),
    progress_pct: count('progress_pct'),
    bytes_total: count('bytes_total'),
    bytes_transferred: count('bytes_transferred'),
    bytes_processed: count('bytes_processed'),
    objects_total: count('objects_total'),
    objects_transferred: count('objects_transferred'),
    speed_bytes_per_sec: count('speed_bytes_per_sec'),
    eta_seconds: row['eta_seconds'] === null ? null : count('eta_seconds'),
    current_item: textOrNull('current_item'),
    created_at: time('created_at') ?? 0,
    started_at: time('started_at'),
    finished_at: time('finished_at'),
    not_before: time('not_before'),
  };
}

export function toListedRun(row: RunRow): ListedRun {
  const point = Object.fromEntries(pointColumns.map((name) => [name, row[`point_${name}`]]));
  return {
    ...toStoredRun(row),
    job_name: String(row['job_name'] ?? ''),
    point: point['id'] === null || point['id'] === undefined ? null : toStoredPoint(point),
  };
}

export function toStoredPoint(row: RunRow): StoredPoint {
  const count = (name: string): number => Number(row[name] ?? 0);
  return {
    id: count('id'),
    uuid: String(row['uuid']),
    run_uuid: String(row['run_uuid']),
    state: String(row['state']) as StoredPoint['state'],
    status: String(row['status']),
    complete: count('complete') !== 0,
    files: count('files'),
    carried: count('carried'),
    failed: count('failed'),
    bytes: count('bytes'),
    added_bytes: count('added_bytes'),
    pinned: row['pinned_at'] !== null,
    created_at: fromDatabaseTime(String(row['created_at'])),
  };
}

/** True for a slot that was left out. */
export function isSkipped(run: Pick<StoredRun, 'status' | 'error_code'>): boolean {
  return run.status === 'cancelled' && (skipCodes as readonly (string | null)[]).includes(run.error_code);
}

export function isOver(run: Pick<StoredRun, 'status'>): boolean {
  return isTerminal(run.status);
}
