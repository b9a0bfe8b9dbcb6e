import type { Knex } from 'knex';
import { appendAudit } from './audit.ts';
import type { Database } from './connect.ts';
import type { Lease } from './leases.ts';
import { pendingText, policyOf, type RetentionColumns } from './retention-rows.ts';

const JOBS = 's3_cloudbackup_jobs';
const DAY_MS = 86_400_000;
const GRACE_MS = 14 * DAY_MS;
const COOL_OFF_MS = 7 * DAY_MS;

/**
 * Data that waits for its deletion waits anew: the database may be an older copy, from before somebody brought the job back, and all that was
 * backed up since would go with it.
 */
export async function graceAnew(database: Database, trx: Knex.Transaction, jobId: number): Promise<void> {
  await trx(JOBS)
    .where({ id: jobId })
    .whereIn('data_state', ['grace', 'ending'])
    .where('data_delete_at', '<', database.now(GRACE_MS))
    .update({ data_delete_at: database.now(GRACE_MS) });
}

/**
 * The retention of a job whose newer points the database did not know is as old as that copy: somebody may have chosen to keep more since, or
 * have pinned points. It acts only after a cool-off, in which nothing goes and whoever owns the job can change it. Does nothing where nothing
 * would ever go.
 */
export async function coolOffAnew(
  database: Database,
  trx: Knex.Transaction,
  job: { readonly id: number; readonly uuid: string; readonly clientId: number },
  lease: Lease,
): Promise<void> {
  const row = (await trx(JOBS)
    .where({ id: job.id })
    .first('retention_mode', 'retention_value', 'retention_json', 'retention_pending_json')) as
    (RetentionColumns & { readonly retention_pending_json: string | null }) | undefined;
  if (row === undefined) return;
  const policy = policyOf(row);
  const waits = row.retention_pending_json ?? (policy.mode === 'none' ? null : pendingText(policy));
  if (waits === null) return;
  const at = database.now(COOL_OFF_MS);
  await trx(JOBS)
    .where({ id: job.id })
    .update({
      ...{ retention_mode: 'none', retention_value: null, retention_json: null },
      retention_pending_json: waits,
      // Never earlier than what was told already.
      retention_acts_at: trx.raw('CASE WHEN retention_acts_at > ? THEN retention_acts_at ELSE ? END', [at, at]),
    });
  await appendAudit(database, trx, {
    actorKind: 'system',
    actorId: lease.runUuid,
    clientId: job.clientId,
    action: 'retention.postponed',
    targetKind: 'job',
    targetId: job.uuid,
    params: { reason: 'reindexed', retention: policy },
  });
}
