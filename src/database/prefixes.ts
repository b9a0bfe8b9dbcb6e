import type { Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';
import { prefixesOverlap, prefixHash } from '../layout/keys.ts';
import { activeStatuses } from '../runs/state.ts';
import { isDuplicate, type Database, type Executor } from './connect.ts';
import { passGates } from './gates.ts';

const PREFIXES = 's3_cloudbackup_prefixes';
const RUNS = 's3_cloudbackup_runs';

export interface Place {
  readonly bucketId: number;
  readonly bucketName: string;
  /** Normalised: no leading slash, one trailing slash (src/layout/keys.ts). */
  readonly prefix: string;
}

/**
 * Which folders of the buckets are taken: one owner each, never one inside another, for all jobs and repositories, deleted ones
 * with data included. Whoever takes one passes the gate of its bucket first, so two that exclude each other cannot both win.
 */
export class ClientPrefixes {
  readonly #database: Database;
  readonly #clientId: number;

  constructor(database: Database, clientId: number) {
    this.#database = database;
    this.#clientId = clientId;
  }

  /** @throws BackupError `PREFIX_TAKEN` */
  async take(trx: Knex.Transaction, place: Place, owner: { kind: 'job' | 'repository'; uuid: string }): Promise<void> {
    await passGates(trx, [`bucket:${place.bucketId}`]);
    await this.#requireFree(trx, place);
    try {
      await trx(PREFIXES).insert({
        prefix_sha256: prefixHash(String(place.bucketId), place.prefix),
        bucket_id: place.bucketId,
        bucket_name: place.bucketName,
        prefix: place.prefix,
        owner_kind: owner.kind,
        owner_uuid: owner.uuid,
        client_id: this.#clientId,
        taken_at: this.#database.now(),
      });
    } catch (cause) {
      if (isDuplicate(cause)) throw new BackupError('PREFIX_TAKEN', undefined, { cause });
      throw cause;
    }
  }

  /** Gives a prefix up into which nothing was ever written: only for jobs that have never run. */
  async release(trx: Knex.Transaction, owner: { kind: 'job' | 'repository'; uuid: string }): Promise<void> {
    await trx(PREFIXES).where({ owner_uuid: owner.uuid, owner_kind: owner.kind, client_id: this.#clientId }).delete();
  }

  /**
   * For the target of a restore, which owns nothing: passes the gate, so that no job can take the folder until the restore is queued.
   * @throws BackupError `PREFIX_TAKEN`
   */
  async requireUnused(trx: Knex.Transaction, place: Place): Promise<void> {
    await passGates(trx, [`bucket:${place.bucketId}`]);
    await this.#requireFree(trx, place);
  }

  /**
   * For a restore into the source of a job, of which there is one at a time: passes the gate of the job's bucket.
   * @throws BackupError `PREFIX_TAKEN`
   */
  async requireSourceUnused(trx: Knex.Transaction, job: { id: number; bucketId: number }): Promise<void> {
    await passGates(trx, [`bucket:${job.bucketId}`]);
    const busy: unknown = await this.sourceRestoresQuery(trx, job.id).first();
    if (busy !== undefined) throw new BackupError('PREFIX_TAKEN');
  }

  /** Restores into the source of a job that are not over: they name no bucket. */
  sourceRestoresQuery(executor: Executor, jobId: number): Knex.QueryBuilder {
    return executor(RUNS)
      .where({ job_id: jobId, client_id: this.#clientId, kind: 'restore', dest_bucket: '' })
      .whereIn('status', [...activeStatuses])
      .select('id');
  }

  /** Reads all prefixes of the bucket: nesting goes both ways, and bytes are compared here, never by a collation. */
  async #requireFree(trx: Knex.Transaction, place: Place): Promise<void> {
    const taken = (await trx(PREFIXES).where('bucket_id', place.bucketId).select('prefix')) as { prefix: string }[];
    const restores = (await trx(RUNS)
      .where('client_id', this.#clientId)
      .whereIn('status', [...activeStatuses])
      .where({ kind: 'restore', dest_bucket: place.bucketName })
      .whereNotNull('dest_prefix')
      .select('dest_prefix as prefix')) as { prefix: string }[];
    const clash = [...taken, ...restores].some(({ prefix }) => prefixesOverlap(withSlash(prefix), place.prefix));
    if (clash) throw new BackupError('PREFIX_TAKEN');
  }
}

/** Folders of these buckets in which backups lie, whoever's they are; each ends in a slash, unless it is a whole bucket. */
export async function takenPrefixes(database: Database, bucketIds: readonly number[]): Promise<string[]> {
  if (bucketIds.length === 0) return [];
  const rows = (await takenPrefixesQuery(database, bucketIds)) as { prefix: string }[];
  return rows.map(({ prefix }) => withSlash(prefix));
}

export function takenPrefixesQuery(database: Database, bucketIds: readonly number[]): Knex.QueryBuilder {
  return database
    .knex(PREFIXES)
    .whereIn('bucket_id', [...bucketIds])
    .select('prefix');
}

/** Repositories of agents may be recorded without the slash at the end. */
function withSlash(prefix: string): string {
  return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
}
