import type { Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';
import type { Database } from './connect.ts';

const COMMANDS = 's3_cloudbackup_run_commands';

export interface CommandAnswer {
  /** `completed` and `failed` are the worker's own words; `expired`: nobody took it or answered in time. */
  readonly status: 'pending' | 'processing' | 'completed' | 'failed' | 'expired' | 'cancelled';
  readonly result: Readonly<Record<string, unknown>>;
}

/**
 * Short requests of one client to workers (src/database/worker-commands.ts is the other side). They expire by themselves, and their
 * payload, which may hold credentials, is sealed and goes as soon as they are over.
 */
export class ClientCommands {
  readonly #database: Database;
  readonly #clientId: number;

  constructor(database: Database, clientId: number) {
    this.#database = database;
    this.#clientId = clientId;
  }

  /** `payloadEnc` is sealed for exactly this `uuid`. */
  async leave(command: { uuid: string; type: string; payloadEnc: string; expiresInMs: number }): Promise<void> {
    await this.#database.knex(COMMANDS).insert({
      uuid: command.uuid,
      client_id: this.#clientId,
      lane: 'worker',
      type: command.type,
      payload_enc: command.payloadEnc,
      status: 'pending',
      expires_at: this.#database.now(command.expiresInMs),
      created_at: this.#database.now(),
    });
  }

  /** Throws COMMAND_NOT_FOUND. */
  async answer(uuid: string): Promise<CommandAnswer> {
    const row = (await this.answerQuery(uuid)) as
      { status: CommandAnswer['status']; result_json: string | null } | undefined;
    if (row === undefined) throw new BackupError('COMMAND_NOT_FOUND');
    const result = row.result_json === null ? {} : (JSON.parse(row.result_json) as Record<string, unknown>);
    return { status: row.status, result };
  }

  answerQuery(uuid: string): Knex.QueryBuilder {
    return this.#database.knex(COMMANDS).where({ uuid, client_id: this.#clientId }).first('status', 'result_json');
  }

  /** Nobody waits for the answer any more. The payload goes at once; a worker that is busy with it finds nobody to tell. */
  async abandon(uuid: string): Promise<void> {
    await this.#database
      .knex(COMMANDS)
      .where({ uuid, client_id: this.#clientId })
      .whereIn('status', ['pending', 'processing'])
      .update({ status: 'expired', payload_enc: null, processed_at: this.#database.now() });
  }
}
