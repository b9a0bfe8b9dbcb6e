import type { Knex } from 'knex';
import type { Database } from './connect.ts';

const SETTINGS = 's3_cloudbackup_settings';

export interface StoredSettings {
  /** JSON text of a list, or null. */
  readonly default_notify_emails: string | null;
  readonly default_notify_on_success: boolean;
  readonly default_notify_on_warning: boolean;
  readonly default_notify_on_failure: boolean;
  readonly default_timezone: string | null;
}

/** Defaults of one client. The operator's limit of concurrent runs lies in the same row and is not written from here. */
export class ClientSettings {
  readonly #database: Database;
  readonly #clientId: number;

  constructor(database: Database, clientId: number) {
    this.#database = database;
    this.#clientId = clientId;
  }

  /** What a client without a row has: no mails about successes, mails about everything else. */
  async get(): Promise<StoredSettings> {
    const row = (await this.#database.knex(SETTINGS).where('client_id', this.#clientId).first('*')) as
      Readonly<Record<string, unknown>> | undefined;
    const flag = (name: string, fallback: boolean): boolean => (row === undefined ? fallback : Number(row[name]) !== 0);
    return {
      default_notify_emails: (row?.['default_notify_emails'] as string | null | undefined) ?? null,
      default_notify_on_success: flag('default_notify_on_success', false),
      default_notify_on_warning: flag('default_notify_on_warning', true),
      default_notify_on_failure: flag('default_notify_on_failure', true),
      default_timezone: (row?.['default_timezone'] as string | null | undefined) ?? null,
    };
  }

  async update(
    trx: Knex.Transaction,
    changes: { readonly [Name in keyof StoredSettings]?: StoredSettings[Name] | undefined },
  ): Promise<void> {
    const columns: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(changes)) {
      if (value !== undefined) columns[name] = typeof value === 'boolean' ? (value ? 1 : 0) : value;
    }
    const now = this.#database.now();
    await trx(SETTINGS)
      .insert({ client_id: this.#clientId, ...columns, created_at: now, updated_at: now })
      .onConflict('client_id')
      .merge({ ...columns, updated_at: now });
  }
}
