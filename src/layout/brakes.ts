/**
 * A run that deletes or changes an unusual share of the files still makes its point, but retention is frozen until somebody has
 * looked: what looks like an attack, or an unmounted disk, must not push good points out.
 */
export interface BrakeSettings {
  /** Share of the reference point's files, 0…1. */
  readonly share: number;
  /** Fewer files than this never freeze anything. */
  readonly minFiles: number;
}

export const DEFAULT_BRAKES: BrakeSettings = { share: 0.5, minFiles: 100 };

/** Exact counts against the newest complete point that is kept. A file that only moved counts neither as deleted nor as changed. */
export interface BrakeCounts {
  readonly referenceFiles: number;
  readonly deleted: number;
  readonly changed: number;
}

export function brakesHold(counts: BrakeCounts, settings: BrakeSettings): boolean {
  const affected = counts.deleted + counts.changed;
  return affected >= settings.minFiles && affected > settings.share * counts.referenceFiles;
}
