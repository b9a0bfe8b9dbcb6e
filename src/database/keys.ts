import type { Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';
import type { WrappedKeys } from '../layout/crypt-keys.ts';
import { appendAudit } from './audit.ts';
import { isDuplicate, type Database, type Executor } from './connect.ts';
import { fromDatabaseTimeOrNull } from './times.ts';

const KEYS = 's3_cloudbackup_keys';
const JOBS = 's3_cloudbackup_jobs';
const POINTS = 's3_cloudbackup_restore_points';
const RUNS = 's3_cloudbackup_runs';
const PURPOSE = 'crypt';

/** The keys of one encrypted job: they outlive the job, and go only with its data. */
export interface StoredKeys extends WrappedKeys {
  /** Epoch milliseconds of the first recovery kit; null: none was ever downloaded. */
  readonly kitDownloadedAt: number | null;
}

/** The keys with which a job writes and reads; null: it has none. */
export async function findKeys(executor: Executor, jobUuid: string): Promise<StoredKeys | null> {
  const row = (await executor(KEYS)
    .where({ owner_uuid: jobUuid, purpose: PURPOSE })
    .orderBy('key_version', 'desc')
    .first('uuid', 'key_version', 'value_enc', 'kit_downloaded_at')) as Record<string, unknown> | undefined;
  if (row === undefined) return null;
  return {
    key: String(row['uuid']),
    version: Number(row['key_version']),
    value: String(row['value_enc']),
    kitDownloadedAt: fromDatabaseTimeOrNull((row['kit_downloaded_at'] as string | null) ?? null),
  };
}

/**
 * Takes in keys that lie in the bucket and not in the database, and the fact that the job is encrypted. They replace other keys of a job
 * that has never written with those: its owner may have turned encryption on again in a database that had forgotten it. False: the job
 * has written with other keys, or somebody else's row has this uuid.
 */
export async function takeInKeys(
  database: Database,
  job: { readonly id: number; readonly uuid: string; readonly clientId: number },
  wrapped: WrappedKeys,
): Promise<boolean> {
  return await database
    .transaction(async (trx) => {
      const known = await findKeys(trx, job.uuid);
      const isKnown = known?.key === wrapped.key;
      if (known !== null && !isKnown && (await hasWritten(trx, job.id))) return false;
      try {
        if (known !== null && !isKnown) await trx(KEYS).where({ owner_uuid: job.uuid, purpose: PURPOSE }).delete();
        if (!isKnown) await insertKeys(database, trx, job.clientId, job.uuid, wrapped);
      } catch (error) {
        // Nothing of this transaction is left.
        if (isDuplicate(error)) throw new TakenKeys();
        throw error;
      }
      await trx(JOBS)
        .where({ id: job.id, encryption_enabled: 0 })
        .update({ encryption_enabled: 1, updated_at: database.now() });
      if (known !== null && !isKnown) {
        await appendAudit(database, trx, {
          actorKind: 'system',
          actorId: 'crypt-keys',
          clientId: job.clientId,
          action: 'job.keys_replaced',
          targetKind: 'job',
          targetId: job.uuid,
          params: { from: known.key, to: wrapped.key, kit_downloaded: known.kitDownloadedAt !== null },
        });
      }
      return true;
    })
    .catch((error: unknown) => {
      if (error instanceof TakenKeys) return false;
      throw error;
    });
}

class TakenKeys extends Error {}

/** Backups alone write with a job's keys; one that found the bucket's keys to be others ended before it did. */
async function hasWritten(trx: Knex.Transaction, jobId: number): Promise<boolean> {
  const point = await trx(POINTS).where('job_id', jobId).whereIn('state', ['kept', 'marked', 'deleting']).first('id');
  const run = await trx(RUNS)
    .where({ job_id: jobId, kind: 'backup' })
    .where('claim', '>', 0)
    .whereNot((other) => void other.where({ claim: 1, status: 'failed', error_code: 'ERR_CRYPT_KEYS_OTHER' }))
    .first('id');
  return point !== undefined || run !== undefined;
}

async function insertKeys(
  database: Database,
  trx: Knex.Transaction,
  clientId: number,
  jobUuid: string,
  { key, version, value }: WrappedKeys,
): Promise<void> {
  await trx(KEYS).insert({
    uuid: key,
    client_id: clientId,
    owner_uuid: jobUuid,
    purpose: PURPOSE,
    key_version: version,
    value_enc: value,
    created_at: database.now(),
  });
}

/** The keys of one client's jobs. Every statement names the client. */
export class ClientKeys {
  readonly #database: Database;
  readonly #clientId: number;

  constructor(database: Database, clientId: number) {
    this.#database = database;
    this.#clientId = clientId;
  }

  /** @throws BackupError `ERR_CRYPT_KEYS_MISSING` */
  async get(jobUuid: string, executor: Executor = this.#database.knex): Promise<StoredKeys> {
    const keys = await findKeys(executor, jobUuid);
    const own: unknown =
      keys === null ? undefined : await executor(KEYS).where({ uuid: keys.key, client_id: this.#clientId }).first('id');
    if (keys === null || own === undefined) throw new BackupError('ERR_CRYPT_KEYS_MISSING');
    return keys;
  }

  /** Keys of a job that has none; one that has some keeps them for good. */
  async ensure(trx: Knex.Transaction, jobUuid: string, make: () => WrappedKeys): Promise<void> {
    if ((await findKeys(trx, jobUuid)) === null) await insertKeys(this.#database, trx, this.#clientId, jobUuid, make());
  }

  /** Remembers the first download of the recovery kit. */
  async kitDownloaded(trx: Knex.Transaction, jobUuid: string): Promise<void> {
    await trx(KEYS)
      .where({ owner_uuid: jobUuid, purpose: PURPOSE, client_id: this.#clientId })
      .whereNull('kit_downloaded_at')
      .update({ kit_downloaded_at: this.#database.now() });
  }
}
