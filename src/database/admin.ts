import type { Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';
import type { RunKind } from '../runs/state.ts';
import type { Database } from './connect.ts';
import { toListedRun, type ListedRun, type RunRow } from './run-rows.ts';
import { cancelRun, listedRuns, runPage } from './runs.ts';

const RUNS = 's3_cloudbackup_runs';

export interface AdminRunQuery {
  readonly clientId?: number | undefined;
  readonly status?: string | undefined;
  readonly before?: string | undefined;
  readonly limit: number;
}

/** Runs of all clients, for operators. */
export class AllRuns {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Newest first, before the run `before`. */
  async list(query: AdminRunQuery): Promise<ListedRun[]> {
    const rows = (await this.listQuery(query)) as RunRow[];
    return rows.map(toListedRun);
  }

  listQuery(query: AdminRunQuery): Knex.QueryBuilder {
    const { knex } = this.#database;
    const page = runPage(knex, query);
    if (query.clientId !== undefined) void page.where('client_id', query.clientId);
    if (query.status !== undefined) void page.where('status', query.status);
    return listedRuns(knex, page);
  }

  /** Throws RUN_NOT_FOUND, RUN_NOT_CANCELLABLE. Returns whose run it is, for the audit log. */
  async forceStop(
    trx: Knex.Transaction,
    uuid: string,
  ): Promise<{ outcome: 'cancelled' | 'stopping'; clientId: number }> {
    const run = (await trx(RUNS).where({ uuid }).first('id', 'client_id', 'kind')) as
      { id: number; client_id: number; kind: RunKind } | undefined;
    if (run === undefined) throw new BackupError('RUN_NOT_FOUND');
    const outcome = await cancelRun(this.#database, trx, run, { force: true });
    return { outcome, clientId: Number(run.client_id) };
  }
}
