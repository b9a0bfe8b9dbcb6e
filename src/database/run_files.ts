import type { Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';
import type { Database, Executor } from './connect.ts';

const TABLE = 's3_cloudbackup_run_files';
const RUNS = 's3_cloudbackup_runs';

/** Files of one run that are kept by name; how many there were is always known. */
export const MAX_RUN_FILES = 10_000;
/** Rows in one INSERT. */
const CHUNK = 500;
/** Pages that one answer may read to find rows by their text. */
const SEARCHED_PAGES = 40;

/**
 * What became of a file. Of a backup: `carried` (its last version stands in), `failed` (not in the point), `skipped` (left out). Of
 * a validation, drill or restore: `missing`, `differs`, `size_only` (no hash to compare), `changed_since` (the source has another
 * version by now, which is no damage).
 */
export const runFileKinds = [
  'carried',
  'failed',
  'skipped',
  'missing',
  'differs',
  'size_only',
  'changed_since',
] as const;
export type RunFileKind = (typeof runFileKinds)[number];

export interface RunFile {
  readonly kind: RunFileKind;
  /** A code of the error catalogue, or of src/events/file-problems.ts. */
  readonly code: string;
  readonly path: string;
}

/** How many files there were of each kind, whatever the cap left out. */
export type RunFileTotals = Readonly<Partial<Record<RunFileKind, number>>>;

/** Rows of this kind hold no file but the number of a kind's files: `code` is that kind, `path` the number in decimal digits. */
const TOTAL = 'total';

/**
 * Records the files of a run that were not as they should be: one call a run, best in the transaction that ends it. A run that has
 * its report already keeps it, so a claim that is replayed doubles nothing. `totals` tells kinds of which more were seen than are
 * given; by default there are as many as are given. Beyond `MAX_RUN_FILES` only the totals grow. Returns how many were recorded.
 */
export async function recordRunFiles(
  _database: Database,
  executor: Executor,
  runId: number,
  files: readonly RunFile[],
  totals: RunFileTotals = {},
): Promise<number> {
  const counted = totalsOf(files, totals);
  if (counted.length === 0) return 0;
  const known: unknown = await executor(TABLE).where('run_id', runId).first('id');
  if (known !== undefined) return 0;
  const kept = files.slice(0, MAX_RUN_FILES);
  const rows = [
    ...counted.map(([kind, total]) => ({ kind: TOTAL, code: kind, path: String(total) })),
    ...kept.map(({ kind, code, path }) => ({ kind, code: code.slice(0, 64), path: storable(path) })),
  ];
  for (let start = 0; start < rows.length; start += CHUNK) {
    await executor(TABLE).insert(rows.slice(start, start + CHUNK).map((row) => ({ run_id: runId, ...row })));
  }
  return kept.length;
}

function totalsOf(files: readonly RunFile[], totals: RunFileTotals): [RunFileKind, number][] {
  const given = new Map<RunFileKind, number>();
  for (const { kind } of files) given.set(kind, (given.get(kind) ?? 0) + 1);
  return runFileKinds
    .map((kind): [RunFileKind, number] => [kind, Math.max(given.get(kind) ?? 0, totals[kind] ?? 0)])
    .filter(([, total]) => total > 0);
}

/** A name that is no UTF-8 has lone surrogates, which no database takes: they become U+FFFD here, in a report for people. */
function storable(path: string): string {
  return path.toWellFormed();
}

export interface RunFileQuery {
  /** Number of the last row that is known already; 0 = from the start. */
  readonly after?: number;
  readonly limit: number;
  readonly kind?: RunFileKind | undefined;
  /** Part of the path, upper and lower case alike. */
  readonly text?: string | undefined;
}

export interface StoredRunFile extends RunFile {
  readonly id: number;
}

export interface RunFilePage {
  readonly rows: StoredRunFile[];
  /** `after` of the next page, null at the end. */
  readonly next: number | null;
}

/** Reports of the runs of one client. Every statement names the client, by the run that it is asked for. */
export class ClientRunFiles {
  readonly #database: Database;
  readonly #clientId: number;

  constructor(database: Database, clientId: number) {
    this.#database = database;
    this.#clientId = clientId;
  }

  /** Throws RUN_NOT_FOUND, for a foreign run as for a missing one. */
  async list(runUuid: string, query: RunFileQuery): Promise<RunFilePage> {
    const runId = await this.#runId(runUuid);
    const found: StoredRunFile[] = [];
    const needle = query.text?.toLowerCase() ?? '';
    const size = needle === '' ? query.limit : 500;
    let after = query.after ?? 0;
    // Text is looked for here and not by LIKE: the two databases fold case differently, and a run has at most 10,000 rows.
    for (let page = 0; page < SEARCHED_PAGES; page += 1) {
      const rows = (
        (await runFilesQuery(this.#database, runId, { ...query, after, limit: size + 1 })) as RunFileRow[]
      ).map(toFile);
      for (const row of rows.slice(0, size)) {
        after = row.id;
        if (needle === '' || row.path.toLowerCase().includes(needle)) found.push(row);
        if (found.length === query.limit) break;
      }
      const more = rows.length > size || rows.at(-1)?.id !== after;
      if (rows.length === 0 || !more) return { rows: found, next: null };
      if (found.length === query.limit) return { rows: found, next: after };
    }
    return { rows: found, next: after };
  }

  /** How many files of each kind the run met; kinds of which there are none are absent. Throws RUN_NOT_FOUND. */
  async totals(runUuid: string): Promise<RunFileTotals> {
    const runId = await this.#runId(runUuid);
    const rows = (await runFileTotalsQuery(this.#database, runId)) as { code: string; path: string }[];
    return Object.fromEntries(rows.map((row) => [row.code, Number(row.path)]));
  }

  async #runId(uuid: string): Promise<number> {
    const run = (await this.#database.knex(RUNS).where({ uuid, client_id: this.#clientId }).first('id')) as
      { id: number } | undefined;
    if (run === undefined) throw new BackupError('RUN_NOT_FOUND');
    return Number(run.id);
  }
}

export function runFilesQuery(database: Database, runId: number, query: RunFileQuery): Knex.QueryBuilder {
  const rows = database
    .knex(TABLE)
    .where('run_id', runId)
    .where('id', '>', query.after ?? 0)
    .orderBy('id')
    .limit(query.limit)
    .select('id', 'kind', 'code', 'path');
  return query.kind === undefined ? rows.whereNot('kind', TOTAL) : rows.where('kind', query.kind);
}

export function runFileTotalsQuery(database: Database, runId: number): Knex.QueryBuilder {
  return database.knex(TABLE).where({ run_id: runId, kind: TOTAL }).select('code', 'path');
}

interface RunFileRow {
  id: number;
  kind: RunFileKind;
  code: string;
  path: string;
}

function toFile(row: RunFileRow): StoredRunFile {
  return { id: Number(row.id), kind: row.kind, code: row.code, path: row.path };
}
