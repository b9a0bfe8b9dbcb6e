/**
 * A run's life. This table is the only list of legal transitions: every write to a run's status is conditional on a status
 * that the table allows (and, while somebody owns the run, on the lease token), so a late writer changes nothing.
 */
export const terminalStatuses = ['success', 'warning', 'failed', 'cancelled', 'partial_success'] as const;
export type TerminalStatus = (typeof terminalStatuses)[number];

export const ownedStatuses = ['starting', 'running'] as const;
export const activeStatuses = ['queued', ...ownedStatuses] as const;

export type RunStatus = TerminalStatus | (typeof activeStatuses)[number];

export type RunKind = 'backup' | 'restore' | 'validation' | 'drill' | 'maintenance';

const TERMINAL = terminalStatuses;

export const transitions = {
  queued: {
    /** A worker or agent takes the lease. */
    claim: ['starting'],
    /** Nobody owns the run: a cancel ends it at once. */
    cancel: ['cancelled'],
    /** Waited past `expires_at`. */
    expire: ['failed'],
  },
  starting: {
    progress: ['running'],
    finish: TERMINAL,
    /** The owner hands it back: graceful stop (no attempt used) or a transient failure (one attempt used). */
    requeue: ['queued'],
    /** The lease has passed, with its margin: queued again while attempts are left. */
    lose: ['queued', 'failed', 'cancelled'],
    /** Reindexing took the run's point from the bucket. */
    reindex: TERMINAL,
  },
  running: {
    progress: ['running'],
    finish: TERMINAL,
    requeue: ['queued'],
    lose: ['queued', 'failed', 'cancelled'],
    reindex: TERMINAL,
  },
  success: {},
  warning: {},
  failed: {},
  cancelled: {},
  partial_success: {},
} as const satisfies Record<RunStatus, Partial<Record<string, readonly RunStatus[]>>>;

export type RunAction = 'claim' | 'cancel' | 'expire' | 'progress' | 'finish' | 'requeue' | 'lose' | 'reindex';

/** The statuses from which `action` may lead to `to`. Used as the condition of the UPDATE. */
export function statusesBefore(action: RunAction, to: RunStatus): RunStatus[] {
  return (Object.keys(transitions) as RunStatus[]).filter((from) => mayMove(from, action, to));
}

export function mayMove(from: RunStatus, action: RunAction, to: RunStatus): boolean {
  const allowed = (transitions[from] as Partial<Record<RunAction, readonly RunStatus[]>>)[action];
  return allowed?.includes(to) ?? false;
}

export function isTerminal(status: RunStatus): status is TerminalStatus {
  return (terminalStatuses as readonly RunStatus[]).includes(status);
}

/** Kinds of which one at a time may be active for a job; restores and drills run beside them. */
export function isExclusive(kind: RunKind): boolean {
  return kind === 'backup' || kind === 'validation' || kind === 'maintenance';
}

/** The value of `active_key` while the run is queued, starting or running. */
export function activeKey(kind: RunKind, jobUuid: string): string | null {
  return isExclusive(kind) ? `backup:${jobUuid}` : null;
}

/** Delay before attempt number `attempt` (1 = the first retry), in milliseconds: 30 s doubling to 30 min, ± 20 %. */
export function retryDelayMs(attempt: number, random: () => number = Math.random): number {
  const base = Math.min(30_000 * 2 ** Math.max(0, attempt - 1), 1_800_000);
  return Math.round(base * (0.8 + 0.4 * random()));
}
