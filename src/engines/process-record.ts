import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A process, told from a later one with the same number by its start time. */
export interface ProcessRecord {
  readonly pid: number;
  /** Start time in clock ticks since boot, as /proc tells it. */
  readonly startedAtTicks: string;
}

/** The record of a living process; null when there is none (or only its unreaped rest). */
export function recordOf(pid: number): ProcessRecord | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  // The command name before the state may hold spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startedAtTicks] = [fields[0], fields[19]];
  if (state === 'Z' || state === 'X' || startedAtTicks === undefined) return null;
  return { pid, startedAtTicks };
}

/** Whether this very process still runs, not another one that has got its number since. */
export function isStillRunning(record: ProcessRecord): boolean {
  return recordOf(record.pid)?.startedAtTicks === record.startedAtTicks;
}

/**
 * Kills what an earlier supervisor left: the process and its group (a leash and its child). Does nothing when it is gone already.
 * Resolves when it is gone; false when it still runs after `limitMs` (uninterruptible I/O).
 */
export async function killLeftover(record: ProcessRecord, limitMs = 5_000): Promise<boolean> {
  if (!isStillRunning(record)) return true;
  killGroup(record.pid);
  for (const end = Date.now() + limitMs; Date.now() < end; await delay(10)) {
    if (!isStillRunning(record)) return true;
  }
  return !isStillRunning(record);
}

/** SIGKILL to a process group whose leader is `pid`, or to the process alone when it leads none. Missing ones are no error. */
export function killGroup(pid: number): void {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
