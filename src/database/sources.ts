import type { Knex } from 'knex';
import { z } from 'zod';
import { BackupError } from '../errors/backup-error.ts';
import type { Database, Executor } from './connect.ts';
import { fromDatabaseTimeOrNull } from './times.ts';

const SOURCES = 's3_cloudbackup_sources';
const JOBS = 's3_cloudbackup_jobs';

export type ConnectionStatus = 'active' | 'error' | 'revoked';

/** An account at a service that a client has connected. Holds the sealed refresh token: never hand it out as it is. */
export interface StoredConnection {
  readonly id: number;
  readonly uuid: string;
  readonly clientId: number;
  readonly provider: string;
  readonly displayName: string;
  readonly accountEmail: string | null;
  readonly status: ConnectionStatus;
  readonly refreshTokenEnc: string | null;
  /** Why it is in the state `error`: a code of the catalogue. */
  readonly errorCode: string | null;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface ListedConnection extends StoredConnection {
  /** Jobs of the client that use it, deleted ones left out. */
  readonly jobs: number;
}

export interface NewConnection {
  readonly uuid: string;
  readonly provider: string;
  readonly displayName: string;
  readonly accountEmail: string;
  readonly scopes: readonly string[];
  readonly refreshTokenEnc: string;
}

const Meta = z.object({ error_code: z.string().nullable().default(null) });

/** The connections of one client. Every statement names the client; a foreign connection is a missing one. */
export class ClientSources {
  readonly #database: Database;
  readonly #clientId: number;

  constructor(database: Database, clientId: number) {
    this.#database = database;
    this.#clientId = clientId;
  }

  /** All of them, in the order in which they were made; a client has few. */
  async list(query: { provider?: string | undefined; limit: number }): Promise<ListedConnection[]> {
    const rows = (await this.listQuery(query)) as Row[];
    return rows.map((row) => ({ ...toConnection(row), jobs: Number(row['jobs']) }));
  }

  listQuery({ provider, limit }: { provider?: string | undefined; limit: number }): Knex.QueryBuilder {
    const { knex } = this.#database;
    const jobs = knex(`${JOBS} as j`)
      .whereRaw('j.source_connection_id = s.id')
      .whereNot('j.status', 'deleted')
      .count('* as n');
    return knex(`${SOURCES} as s`)
      .where('s.client_id', this.#clientId)
      .modify((builder) => {
        if (provider !== undefined) void builder.where('s.provider', provider);
      })
      .orderBy('s.id')
      .limit(limit)
      .select('s.*', knex.raw('? as jobs', [jobs]));
  }

  /** Those that their owner has to authorize again before a job can use them. */
  async inTrouble(): Promise<StoredConnection[]> {
    const rows = (await this.#database
      .knex(SOURCES)
      .where('client_id', this.#clientId)
      .whereNot('status', 'active')
      .orderBy('id')) as Row[];
    return rows.map(toConnection);
  }

  /** @throws BackupError `SOURCE_NOT_FOUND` */
  async get(uuid: string, executor: Executor = this.#database.knex): Promise<StoredConnection> {
    const row = (await executor(SOURCES).where({ uuid, client_id: this.#clientId }).first('*')) as Row | undefined;
    if (row === undefined) throw new BackupError('SOURCE_NOT_FOUND');
    return toConnection(row);
  }

  /** The connection of this account, whatever its state, or null. */
  async findByAccount(executor: Executor, provider: string, accountEmail: string): Promise<StoredConnection | null> {
    const row = (await executor(SOURCES)
      .where({ client_id: this.#clientId, provider, account_email: accountEmail })
      .orderBy('id')
      .first('*')) as Row | undefined;
    return row === undefined ? null : toConnection(row);
  }

  async insert(trx: Knex.Transaction, made: NewConnection): Promise<void> {
    await trx(SOURCES).insert({
      uuid: made.uuid,
      client_id: this.#clientId,
      provider: made.provider,
      display_name: made.displayName,
      account_email: made.accountEmail,
      scopes: made.scopes.join(' '),
      refresh_token_enc: made.refreshTokenEnc,
      status: 'active',
      meta: null,
      created_at: this.#database.now(),
      updated_at: this.#database.now(),
    });
  }

  /** A new authorization of a connection that there is. Zero rows: SOURCE_NOT_FOUND. */
  async authorizeAgain(
    trx: Knex.Transaction,
    uuid: string,
    values: Pick<NewConnection, 'scopes' | 'refreshTokenEnc' | 'displayName'>,
  ): Promise<void> {
    const changed = await trx(SOURCES)
      .where({ uuid, client_id: this.#clientId })
      .update({
        display_name: values.displayName,
        scopes: values.scopes.join(' '),
        refresh_token_enc: values.refreshTokenEnc,
        status: 'active',
        meta: null,
        updated_at: this.#database.now(),
      });
    if (changed === 0) throw new BackupError('SOURCE_NOT_FOUND');
  }

  /** Forgets the token; the row stays for the jobs that name it. False: it was revoked before. */
  async revoke(trx: Knex.Transaction, uuid: string): Promise<boolean> {
    const changed = await trx(SOURCES)
      .where({ uuid, client_id: this.#clientId })
      .whereNot('status', 'revoked')
      .update({ status: 'revoked', refresh_token_enc: null, meta: null, updated_at: this.#database.now() });
    return changed > 0;
  }
}

/** What a worker reads of a connection that a client's job names; null when this client has none such. */
export async function readConnection(
  database: Database,
  { clientId, uuid }: { clientId: number; uuid: string },
): Promise<StoredConnection | null> {
  const row = (await database.knex(SOURCES).where({ uuid, client_id: clientId }).first('*')) as Row | undefined;
  return row === undefined ? null : toConnection(row);
}

/**
 * Connections that still have a token, of clients without a backup that stays: every job's data goes already, or there never was one. In the
 * order of their numbers, after `afterId`.
 */
export function idleConnectionsQuery(executor: Executor, afterId: number, limit: number): Knex.QueryBuilder {
  const kept = executor(`${JOBS} as j`)
    .whereRaw('j.client_id = s.client_id')
    .whereIn('j.data_state', ['kept', 'ending'])
    .where('j.engine', 'sync')
    .whereNull('j.agent_uuid')
    .select(executor.raw('1'));
  return executor(`${SOURCES} as s`)
    .where('s.id', '>', afterId)
    .whereNot('s.status', 'revoked')
    .whereNotExists(kept)
    .orderBy('s.id')
    .limit(limit)
    .select('s.*');
}

export async function idleConnections(database: Database, afterId: number, limit: number): Promise<StoredConnection[]> {
  return ((await idleConnectionsQuery(database.knex, afterId, limit)) as Row[]).map(toConnection);
}

/** Stores a rotated refresh token where still lies what was read. False: somebody authorized or revoked meanwhile. */
export async function replaceRefreshToken(
  database: Database,
  connection: Pick<StoredConnection, 'id'>,
  tokens: { before: string; after: string },
): Promise<boolean> {
  const changed = await database
    .knex(SOURCES)
    .where({ id: connection.id, refresh_token_enc: tokens.before })
    .update({ refresh_token_enc: tokens.after, status: 'active', meta: null, updated_at: database.now() });
  return changed > 0;
}

/** Marks a connection whose token the service refuses, if it still has that token. */
export async function markConnectionRefused(
  database: Database,
  connection: Pick<StoredConnection, 'id'>,
  refused: { sealed: string; code: string },
): Promise<void> {
  await database
    .knex(SOURCES)
    .where({ id: connection.id, refresh_token_enc: refused.sealed, status: 'active' })
    .update({ status: 'error', meta: JSON.stringify({ error_code: refused.code }), updated_at: database.now() });
}

/** The token was taken after all: the service had refused it for a while. */
export async function markConnectionGood(
  database: Database,
  connection: Pick<StoredConnection, 'id'>,
  sealed: string,
): Promise<void> {
  await database
    .knex(SOURCES)
    .where({ id: connection.id, refresh_token_enc: sealed, status: 'error' })
    .update({ status: 'active', meta: null, updated_at: database.now() });
}

type Row = Readonly<Record<string, unknown>>;

function toConnection(row: Row): StoredConnection {
  const textOrNull = (name: string): string | null => (row[name] as string | null | undefined) ?? null;
  const time = (name: string): number => fromDatabaseTimeOrNull(textOrNull(name)) ?? 0;
  return {
    id: Number(row['id']),
    uuid: String(row['uuid']),
    clientId: Number(row['client_id']),
    provider: String(row['provider']),
    displayName: String(row['display_name']),
    accountEmail: textOrNull('account_email'),
    status: String(row['status']) as ConnectionStatus,
    refreshTokenEnc: textOrNull('refresh_token_enc'),
    errorCode: errorCodeOf(textOrNull('meta')),
    createdAt: time('created_at'),
    updatedAt: time('updated_at'),
  };
}

function errorCodeOf(meta: string | null): string | null {
  if (meta === null || meta === '') return null;
  const parsed = Meta.safeParse(JSON.parse(meta));
  return parsed.success ? parsed.data.error_code : null;
}
