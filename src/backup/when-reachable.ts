import { setTimeout as delay } from 'node:timers/promises';
import { isBackupError } from '../errors/backup-error.ts';

const LONGEST_PAUSE_MS = 5_000;

/** Asks the database until it answers: an outage costs nobody the work that is done. Throws the signal's reason when it aborts. */
export async function whenReachable<T>(
  ask: () => Promise<T>,
  { signal, firstMs }: { readonly signal: AbortSignal; readonly firstMs: number },
): Promise<T> {
  for (let waitMs = firstMs; ; waitMs = Math.min(waitMs * 2, LONGEST_PAUSE_MS)) {
    signal.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      if (!isBackupError(error, 'ERR_DATABASE_UNREACHABLE')) throw error;
    }
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
  }
}
