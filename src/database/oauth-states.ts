import type { Knex } from 'knex';
import type { Database } from './connect.ts';

const STATES = 's3_cloudbackup_oauth_states';

/** An authorization that a client began. */
export interface OAuthState {
  readonly uuid: string;
  readonly provider: string;
  /** The connection that is authorized again; null for a new one. */
  readonly sourceUuid: string | null;
  readonly verifierEnc: string;
}

/** Authorizations of one client that are under way. */
export class ClientOAuthStates {
  readonly #database: Database;
  readonly #clientId: number;

  constructor(database: Database, clientId: number) {
    this.#database = database;
    this.#clientId = clientId;
  }

  /** Notes a new one, and forgets all that have run out, whosever they are. */
  async begin(trx: Knex.Transaction, state: OAuthState & { stateHash: string; expiresInMs: number }): Promise<void> {
    await trx(STATES).where('expires_at', '<', this.#database.now()).delete();
    await trx(STATES).insert({
      uuid: state.uuid,
      state_hash: state.stateHash,
      client_id: this.#clientId,
      provider: state.provider,
      source_uuid: state.sourceUuid,
      verifier_enc: state.verifierEnc,
      expires_at: this.#database.now(state.expiresInMs),
      created_at: this.#database.now(),
    });
  }

  /** Takes it away: each can be finished once. Null: unknown, somebody else's, finished before, or too old. */
  async take(stateHash: string): Promise<OAuthState | null> {
    return await this.#database.transaction(async (trx) => {
      const mine = { state_hash: stateHash, client_id: this.#clientId };
      const row = (await trx(STATES).where(mine).where('expires_at', '>=', this.#database.now()).first('*')) as
        Readonly<Record<string, unknown>> | undefined;
      if (row === undefined || (await trx(STATES).where(mine).delete()) === 0) return null;
      return {
        uuid: String(row['uuid']),
        provider: String(row['provider']),
        sourceUuid: (row['source_uuid'] as string | null) ?? null,
        verifierEnc: String(row['verifier_enc']),
      };
    });
  }
}
