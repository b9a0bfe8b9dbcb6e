import { rmSync } from 'node:fs';
import { appendEvents } from '../database/events.ts';
import { findOwnedRun, takeLostRun } from '../database/leases.ts';
import { enqueueRunNotice } from '../database/outbox.ts';
import { eventsOfLoss } from './recovery.ts';
import { leftFolders, type ProcessMark } from './run-folder.ts';
import type { WorkerServices } from './services.ts';

/**
 * Before the first claim: ends what a dead process on this machine left. Its children died with it (they hang on a leash); its
 * leases are given up at once instead of being waited out, because the proof that the owner is dead is here; its folders go.
 */
export async function endLeftovers({ config, database, log }: WorkerServices, self: ProcessMark): Promise<void> {
  for (const folder of leftFolders(config.rclone.run_dir)) {
    const run = folder.lease === null ? null : await findOwnedRun(database, folder.lease);
    if (run !== null) {
      const outcome = await database.transaction(async (trx) => {
        const taken = await takeLostRun(database, trx, run, 'owner is dead');
        if (taken === null) return null;
        await appendEvents(trx, database, run.id, eventsOfLoss(run, taken));
        if (taken.status !== 'queued') await enqueueRunNotice(trx, database, { ...run, status: taken.status });
        return taken;
      });
      log.warn('ended a run that an earlier process left', {
        run: run.uuid,
        outcome: outcome?.status ?? 'taken over',
        worker: self.pid,
      });
    }
    rmSync(folder.path, { recursive: true, force: true });
  }
}
