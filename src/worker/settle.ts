import { setTimeout as delay } from 'node:timers/promises';
import { isUnreachable, type Database, type Transaction } from '../database/connect.ts';
import { appendEvents } from '../database/events.ts';
import { finishRun, requeueRun } from '../database/leases.ts';
import { releaseHolds } from '../database/restore-points.ts';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { isTransient } from '../errors/catalogue.ts';
import { event, type RunEvent } from '../events/catalogue.ts';
import { endEvents } from '../events/endings.ts';
import { describeError, type Logger } from '../log.ts';
import type { TerminalStatus } from '../runs/state.ts';
import { redact } from '../security/redact.ts';
import type { ActiveRun } from './active-run.ts';
import type { RunReporter } from './run-reporter.ts';

export interface SettleOptions {
  readonly database: Database;
  readonly active: ActiveRun;
  readonly reporter: RunReporter;
  readonly log: Logger;
  readonly notify: (trx: Transaction, status: TerminalStatus) => Promise<void>;
}

/** What becomes of a run whose claim did not get to its end. */
type Settlement =
  | { readonly to: 'nothing' }
  | { readonly to: 'queue'; readonly usesAttempt: boolean; readonly error: BackupError }
  /** `yielded`: it made room for a backup, keeping what it did. */
  | { readonly to: 'cancelled'; readonly yielded: boolean }
  | { readonly to: 'failed'; readonly error: BackupError };

export function settlementOf(error: unknown, attempt: number, maxAttempts: number): Settlement {
  const known = isBackupError(error) ? error : new BackupError('ERR_INTERNAL', undefined, { cause: error });
  switch (known.code) {
    case 'ERR_LEASE_LOST':
      return { to: 'nothing' };
    case 'ERR_CANCELLED':
      return { to: 'cancelled', yielded: false };
    case 'ERR_YIELDED':
      return { to: 'cancelled', yielded: true };
    case 'ERR_WORKER_STOPPING':
      return { to: 'queue', usesAttempt: false, error: known };
    default:
      return isTransient(known.code) && attempt + 1 < maxAttempts
        ? { to: 'queue', usesAttempt: true, error: known }
        : { to: 'failed', error: known };
  }
}

/**
 * Writes the end of a claim that failed, conditional on the lease: back to the queue, cancelled or failed, with its events and
 * notices in one transaction. Waits while the database cannot be reached; a run that somebody else owns by then is left alone.
 */
export async function settle(options: SettleOptions, error: unknown): Promise<void> {
  const { active, log } = options;
  const settlement = settlementOf(error, active.run.attempt, active.run.maxAttempts);
  if (settlement.to === 'nothing') return;
  log[settlement.to === 'failed' ? 'error' : 'info']('a claim did not get to its end', {
    run: active.run.uuid,
    becomes: settlement.to,
    error: describeError(error),
  });
  const holds = active.forgetHolds();
  for (let waitMs = 250; ; waitMs = Math.min(waitMs * 2, 5_000)) {
    try {
      await write(options, settlement, holds);
      return;
    } catch (failure) {
      if (!isUnreachable(failure)) throw failure;
      if (isBackupError(active.signal.reason, 'ERR_LEASE_LOST')) return;
    }
    await delay(waitMs);
  }
}

async function write(
  { database, active, reporter, notify }: SettleOptions,
  settlement: Exclude<Settlement, { to: 'nothing' }>,
  holds: readonly string[],
): Promise<void> {
  await reporter.flush();
  await database.transaction(async (trx) => {
    const events =
      settlement.to === 'queue'
        ? await requeue(database, trx, active, settlement)
        : await end(database, trx, active, settlement);
    if (events === null) return;
    await appendEvents(trx, database, active.run.id, events);
    if (settlement.to !== 'queue') await notify(trx, settlement.to);
    await releaseHolds(trx, holds);
  });
}

async function requeue(
  database: Database,
  trx: Transaction,
  active: ActiveRun,
  { usesAttempt, error }: Extract<Settlement, { to: 'queue' }>,
): Promise<RunEvent[] | null> {
  const { run, lease } = active;
  if (!usesAttempt)
    return (await requeueRun(database, trx, lease, { usesAttempt: false })) === null
      ? null
      : [event('RUN_HANDED_BACK')];
  const queued = await requeueRun(database, trx, lease, {
    usesAttempt: true,
    attempt: run.attempt,
    errorCode: error.code,
    errorSummary: summaryOf(error),
  });
  if (queued === null) return null;
  return [
    event('RUN_REQUEUED', {
      code: error.code,
      attempt: run.attempt + 1,
      max: run.maxAttempts,
      not_before: Date.now() + queued.delayMs,
    }),
  ];
}

async function end(
  database: Database,
  trx: Transaction,
  active: ActiveRun,
  settlement: Extract<Settlement, { to: 'cancelled' | 'failed' }>,
): Promise<RunEvent[] | null> {
  const error = settlement.to === 'failed' ? settlement.error : null;
  const yielded = settlement.to === 'cancelled' && settlement.yielded;
  const ended = await finishRun(database, trx, active.lease, {
    status: settlement.to,
    errorCode: error?.code ?? (yielded ? 'ERR_YIELDED' : 'ERR_CANCELLED'),
    errorSummary: error === null ? null : summaryOf(error),
  });
  if (!ended) return null;
  if (yielded) return [event('YIELDED')];
  return endEvents(active.run.kind, settlement.to, { code: error?.code });
}

/** What the customer reads. An error that nobody expected says nothing of its own. */
function summaryOf(error: BackupError): string {
  return redact(error.message);
}
