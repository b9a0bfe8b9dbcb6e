import type { TerminalStatus } from '../runs/state.ts';

/** What a job says itself; null: as its client's settings say. */
export interface JobWishes {
  readonly onSuccess: boolean | null;
  readonly onWarning: boolean | null;
  readonly onFailure: boolean | null;
}

/** What a client's settings say; null: the client has none. */
export interface ClientWishes {
  readonly onSuccess: boolean;
  readonly onWarning: boolean;
  readonly onFailure: boolean;
}

/** A mail for what went wrong, none for what went well. */
export const DEFAULT_WISHES: ClientWishes = { onSuccess: false, onWarning: true, onFailure: true };

export type Occasion = TerminalStatus | 'overdue' | 'frozen' | 'drill_overdue' | 'ending';

/**
 * Whether somebody wants to hear of it: what the job says, else its client, else the defaults. A backup or restore test that does not come
 * counts as one that fails, retention that stopped as a warning; a cancelled run was ended by somebody who knows, unless the operator
 * wants those told too.
 */
export function isWanted(
  occasion: Occasion,
  job: JobWishes,
  client: ClientWishes | null,
  operator: { readonly tellCancelled: boolean },
): boolean {
  const defaults = client ?? DEFAULT_WISHES;
  switch (occasion) {
    case 'success':
      return job.onSuccess ?? defaults.onSuccess;
    case 'warning':
    case 'partial_success':
    case 'frozen':
      return job.onWarning ?? defaults.onWarning;
    case 'failed':
    case 'overdue':
    case 'drill_overdue':
      return job.onFailure ?? defaults.onFailure;
    // That everything goes is nothing that one could have switched off before.
    case 'ending':
      return true;
    case 'cancelled':
      return operator.tellCancelled && (job.onFailure ?? defaults.onFailure);
  }
}
