import type { Knex } from 'knex';
import { createTable } from './columns.ts';

/** Authorizations at Google or Dropbox that were begun and not finished yet: each is finished once, by whoever began it. */
export async function up(knex: Knex): Promise<void> {
  await createTable(knex, 's3_cloudbackup_oauth_states', (c) => {
    c.id();
    c.uuid().notNullable().unique();
    /** SHA-256 of what travels through the browser. */
    c.word('state_hash', 64).notNullable().unique();
    c.big('client_id').notNullable();
    c.word('provider', 32).notNullable();
    /** The connection that is authorized again; null for a new one. */
    c.uuid('source_uuid');
    /** Of PKCE, sealed. */
    c.long('verifier_enc').notNullable();
    c.time('expires_at').notNullable();
    c.time('created_at').notNullable();
    c.table.index(['expires_at'], 'e3_oauth_states_expiry');
  });
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('s3_cloudbackup_oauth_states');
}
