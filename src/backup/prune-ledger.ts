import type { DatabaseView, PointView } from '../layout/explain.ts';
import type { NewPoint } from './ledger.ts';

export type { DatabaseView, NewPoint, PointView };

/**
 * What a prune (prune.ts) needs of the database. One ledger belongs to one claim of one maintenance run, which holds the job's
 * `active_key`: no backup, validation or reindex of the job is active meanwhile. Every write is conditional on status **and** lease
 * token of that run, so that a late writer changes nothing; a call that changes nothing for that reason throws `ERR_LEASE_LOST`,
 * where it does not say otherwise.
 *
 * Any method may throw BackupError `ERR_DATABASE_UNREACHABLE`; the prune waits and calls again, so each one must bear being repeated,
 * also when its first call took effect and only the answer was lost.
 */
export interface PruneLedger {
  /** Aborts when the prune has to stop at once: cancelled, lease lost, worker shutting down; `reason` is a BackupError. */
  readonly signal: AbortSignal;
  /** Aborts when a backup waits for the job: the prune stops at the next safe point and keeps what it did. */
  readonly yieldSignal: AbortSignal;

  /**
   * What the database knows of this job: asked **after** the bucket was listed, for the runs that were seen there. As
   * `RunLedger.view`: foreign and unknown runs are absent; `points` holds all that are kept, marked or deleting.
   */
  view(runs: readonly string[]): Promise<DatabaseView>;

  /**
   * What retention says now, by the database's clock. `remove`: kept or marked points that have to go; none while retention is
   * frozen; all points when the job's data is to be deleted. `unmark`: marked points that may stay after all.
   */
  plan(): Promise<PrunePlan>;

  /**
   * `kept → marked` where neither pinned nor held. Returns those of the given points that are marked now, also those that were marked
   * before. A marked point takes no new hold.
   */
  mark(points: readonly PointView[]): Promise<readonly PointView[]>;

  /** `marked → kept`. The prune has taken the tombstones away before. */
  unmark(points: readonly PointView[]): Promise<void>;

  /**
   * `marked → deleting`, which is final: one conditional update that checks mark, pin, holds, lease token and a fresh plan. Returns
   * those of the given points that are in `deleting` now, also those that an earlier call confirmed.
   */
  confirm(points: readonly PointView[]): Promise<readonly PointView[]>;

  /**
   * `deleting → pruned` with `pruned_at` and `freed_bytes`; the job's stored bytes go down. Nothing of the point lies in the
   * bucket any more. `freed`: what was deleted for it, in run folders.
   */
  finish(point: PointView, freed: FreedSpace): Promise<void>;

  /** As `RunLedger.adopt`: inserts the point of a terminal run whose whole manifest lies in the bucket without a point. */
  adopt(point: NewPoint): Promise<'adopted' | 'known' | 'lost'>;

  /** True when a heartbeat of this claim was answered within the lease. No delete is ever sent while it is false. */
  heartbeatConfirmed(): boolean;

  /** Live figures, at most about one call a second. Never throws. */
  progress(progress: PruneProgress): void;

  /** Adds an event to the maintenance run, in order. Never throws. */
  event(event: PruneEvent): void;
}

export interface PrunePlan {
  readonly remove: readonly PointView[];
  readonly unmark: readonly PointView[];
}

export interface FreedSpace {
  readonly bytes: number;
  readonly objects: number;
}

export type PrunePhase = 'checking' | 'marking' | 'reading' | 'listing' | 'deleting' | 'sweeping';

export interface PruneProgress {
  readonly phase: PrunePhase;
  /** Points that are confirmed to go in this prune, and how many of them are gone. */
  readonly points: number;
  readonly pointsDone: number;
  /** Objects of run folders that have to be deleted (0 until they are known), and what was deleted so far. */
  readonly objects: number;
  readonly freed: FreedSpace;
}

/** What a prune tells about itself; codes are those of the event catalogue (src/events/prune-events.ts). */
export type PruneEvent =
  | { readonly code: 'POINT_ADOPTED'; readonly params: { readonly run: string; readonly claim: string } }
  /** `in_use`: points that should go but are held or pinned; the next prune tries again. */
  | {
      readonly code: 'PRUNE_PLANNED';
      readonly params: { readonly points: number; readonly in_use: number; readonly spared: number };
    }
  | {
      readonly code: 'POINT_PRUNED';
      readonly params: {
        readonly run: string;
        readonly generation: number;
        readonly objects: number;
        readonly bytes: number;
      };
    }
  | {
      readonly code: 'LEFTOVERS_SWEPT';
      readonly params: { readonly objects: number; readonly bytes: number; readonly uploads: number };
    }
  /** The bucket keeps old versions: what was deleted takes room until they expire. */
  | { readonly code: 'PRUNE_VERSIONED'; readonly params: Record<string, never> }
  | {
      readonly code: 'DATA_DELETED';
      readonly params: { readonly objects: number; readonly bytes: number; readonly foreign: number };
    };

/** How a prune ended. What it did is kept, whatever it is. */
export interface PruneReport {
  /** It made way for a backup (`yieldSignal`): the rest is left to the next prune. */
  readonly yielded: boolean;
  readonly adopted: number;
  /** Points that are gone now, also those that an earlier prune had begun with. */
  readonly pruned: number;
  /** Marked points that may stay after all, and points that should go but are held or pinned. */
  readonly spared: number;
  readonly inUse: number;
  /** Everything that was deleted from run folders; `leftovers` is the part that belonged to no pruned point. */
  readonly freed: FreedSpace;
  readonly leftovers: FreedSpace;
  readonly uploadsAborted: number;
  /** What lies in the run folders now: the job's stored bytes, exactly. Null when the prune did not get that far. */
  readonly remaining: FreedSpace | null;
  /** Objects below the prefix that are not of the format: left as they are. Only counted when the job's data is deleted. */
  readonly foreign: number;
  /** The bucket keeps versions, so bytes come back only when they expire. */
  readonly versioned: boolean;
  /** The job's data was to be deleted, and a final listing found nothing of the format below the prefix. */
  readonly emptied: boolean;
}
