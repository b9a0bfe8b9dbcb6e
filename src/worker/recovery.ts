import type { Database } from '../database/connect.ts';
import { appendEvents } from '../database/events.ts';
import { findLostRuns, takeLostRun, type LostOutcome, type LostRun } from '../database/leases.ts';
import { releaseExpiredHolds } from '../database/restore-points.ts';
import { event, type RunEvent } from '../events/catalogue.ts';
import { endEvents } from '../events/endings.ts';
import type { Logger } from '../log.ts';

export interface RecoveryOptions {
  readonly database: Database;
  /** A lease that ended longer ago than this is lost. 0: the caller knows that the owner is dead. */
  readonly marginMs: number;
  readonly log: Logger;
  readonly notify: (trx: Parameters<typeof appendEvents>[0], run: LostRun, outcome: LostOutcome) => Promise<void>;
}

/** Takes over what silent owners left: queued again while attempts are left, else ended, each with its events. Returns how many. */
export async function recoverLostRuns(options: RecoveryOptions): Promise<number> {
  const { database, marginMs, log, notify } = options;
  let recovered = 0;
  for (const run of await findLostRuns(database, marginMs)) {
    const outcome = await database.transaction(async (trx) => {
      const taken = await takeLostRun(database, trx, run, marginMs);
      if (taken === null) return null;
      await appendEvents(trx, database, run.id, eventsOfLoss(run, taken));
      await notify(trx, run, taken);
      return taken;
    });
    if (outcome === null) continue;
    recovered += 1;
    log.warn('took over a run whose owner is gone', { run: run.uuid, outcome: outcome.status });
  }
  await releaseExpiredHolds(database);
  return recovered;
}

export function eventsOfLoss(run: LostRun, outcome: LostOutcome): RunEvent[] {
  if (outcome.status === 'queued') return [event('RUN_TAKEN_OVER', { attempt: run.attempt + 1, max: run.maxAttempts })];
  return endEvents(run.kind, outcome.status, outcome.status === 'failed' ? { code: 'ERR_WORKER_LOST' } : {});
}
