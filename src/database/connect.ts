import knexFactory, { type Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';

export type Dialect = 'sqlite' | 'mysql';

export type DatabaseSettings =
  | { driver: 'sqlite'; filename: string }
  | {
      driver: 'mysql';
      host?: string | undefined;
      port?: number | undefined;
      socketPath?: string | undefined;
      database: string;
      username: string;
      password: string;
      maxConnections?: number | undefined;
    };

/** Runs statements inside or outside of a transaction: what every function of this room takes. */
export type Executor = Knex | Knex.Transaction;

/** For callers outside of this room, who hand a transaction on without speaking SQL in it. */
export type Transaction = Knex.Transaction;

/**
 * The database as this package sees it. All SQL of the package goes through it, in this room.
 * Times are text, `YYYY-MM-DD HH:MM:SS.mmm` in UTC, in CHAR(23) columns: no driver option, session zone or
 * process zone can change them, and they compare in order. "Now" is always the database's own clock.
 */
export interface Database {
  readonly knex: Knex;
  readonly dialect: Dialect;
  /**
   * Runs `work` in one transaction, and again from its start when the database asks for it (deadlock, lock wait, busy,
   * certification failure of a cluster). `work` must do nothing that a second call would double.
   */
  transaction<T>(work: (trx: Knex.Transaction) => Promise<T>): Promise<T>;
  /** SQL expression of the database's clock in our text form, `offsetMs` milliseconds later. */
  now(offsetMs?: number): Knex.Raw;
  /** The database's clock, read now, as text. */
  readClock(executor?: Executor): Promise<string>;
  close(): Promise<void>;
}

/** knex would print connection errors besides throwing them. */
const SILENT = { warn: () => {}, error: () => {}, deprecate: () => {}, debug: () => {} };

/** Opens a pool of our own. */
export function openDatabase(settings: DatabaseSettings): Database {
  if (settings.driver === 'sqlite') {
    const knex = knexFactory({
      client: 'better-sqlite3',
      connection: { filename: settings.filename },
      useNullAsDefault: true,
      log: SILENT,
      pool: { min: 1, max: 1, afterCreate: prepareSqlite },
    });
    return wrap(knex, 'sqlite', true);
  }
  const knex = knexFactory({
    client: 'mysql2',
    connection: {
      ...(settings.socketPath
        ? { socketPath: settings.socketPath }
        : { host: settings.host ?? '127.0.0.1', port: settings.port ?? 3306 }),
      user: settings.username,
      password: settings.password,
      database: settings.database,
      charset: 'utf8mb4',
      timezone: 'Z',
      supportBigNumbers: true,
      connectTimeout: 10_000,
    },
    log: SILENT,
    pool: { min: 0, max: settings.maxConnections ?? 10 },
    acquireConnectionTimeout: 15_000,
  });
  return wrap(knex, 'mysql', true);
}

/** Uses the host's own knex instance; closing is left to the host. */
export function useDatabase(knex: Knex): Database {
  const client = String((knex.client as { config?: { client?: unknown } }).config?.client ?? '');
  if (client.includes('sqlite')) return wrap(knex, 'sqlite', false);
  if (client.includes('mysql')) return wrap(knex, 'mysql', false);
  throw new BackupError(
    'ERR_CONFIG_INVALID',
    `The knex instance uses "${client}"; supported are mysql2 and better-sqlite3.`,
  );
}

interface SqliteConnection {
  pragma(text: string): unknown;
  prepare(sql: string): unknown;
}

function prepareSqlite(
  connection: SqliteConnection,
  done: (error: Error | null, connection: SqliteConnection) => void,
): void {
  connection.pragma('journal_mode = WAL');
  connection.pragma('busy_timeout = 5000');
  connection.pragma('foreign_keys = ON');
  connection.pragma('synchronous = FULL');
  // A plain BEGIN takes the write lock only at the first write, and then fails if another process wrote meanwhile.
  const prepare = connection.prepare.bind(connection);
  connection.prepare = (sql: string) => prepare(/^BEGIN;?$/i.test(sql) ? 'BEGIN IMMEDIATE' : sql);
  done(null, connection);
}

function wrap(knex: Knex, dialect: Dialect, owned: boolean): Database {
  const now = (offsetMs = 0): Knex.Raw =>
    dialect === 'sqlite'
      ? knex.raw(`strftime('%Y-%m-%d %H:%M:%f', 'now', ?)`, [`${(offsetMs / 1000).toFixed(3)} seconds`])
      : knex.raw(`CONVERT(LEFT(CAST(TIMESTAMPADD(MICROSECOND, ?, UTC_TIMESTAMP(6)) AS CHAR), 23) USING ascii)`, [
          Math.round(offsetMs * 1000),
        ]);
  return {
    knex,
    dialect,
    now,
    async readClock(executor = knex) {
      const row = (await executor.select({ now: now() }).first()) as { now: string };
      return String(row.now);
    },
    transaction: (work) => withRetry(() => knex.transaction(work)),
    async close() {
      if (owned) await knex.destroy();
    },
  };
}

const RETRIES = 12;

/** Repeats a whole transaction while the database reports a conflict that a repetition can solve. */
async function withRetry<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (tries >= RETRIES || !isConflict(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.min(500, 5 * 2 ** tries) * (0.5 + Math.random())));
    }
  }
}

/** MySQL: 1213 deadlock (Galera's certification failure too), 1205 lock wait, 1020 record changed; SQLite: BUSY, LOCKED. */
export function isConflict(error: unknown): boolean {
  const { errno, code } = (error ?? {}) as { errno?: unknown; code?: unknown };
  if (errno === 1213 || errno === 1205 || errno === 1020) return true;
  return typeof code === 'string' && (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'));
}

/** True for a violated unique key, on both databases. */
export function isDuplicate(error: unknown): boolean {
  const { errno, code } = (error ?? {}) as { errno?: unknown; code?: unknown };
  return errno === 1062 || code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY';
}

/** True when no statement got through at all: server down, connection lost, pool without an answer, file gone. */
export function isUnreachable(error: unknown): boolean {
  const { code, errno, name } = (error ?? {}) as { code?: unknown; errno?: unknown; name?: unknown };
  if (name === 'KnexTimeoutError') return true;
  if (errno === 1047 || errno === 1053 || errno === 1040 || errno === 1927) return true;
  return (
    typeof code === 'string' &&
    [
      'ECONNREFUSED',
      'ECONNRESET',
      'EPIPE',
      'ETIMEDOUT',
      'ENOTFOUND',
      'EHOSTUNREACH',
      'ENOENT',
      'PROTOCOL_CONNECTION_LOST',
      'PROTOCOL_SEQUENCE_TIMEOUT',
      'ER_CON_COUNT_ERROR',
    ].includes(code)
  );
}
