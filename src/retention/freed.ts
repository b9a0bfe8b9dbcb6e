/** A point as far as the room that it takes is concerned. */
export interface SizedPoint {
  readonly generation: number;
  /** Size of all its files. */
  readonly bytes: number;
  /** What its run added to the bucket. */
  readonly addedBytes: number;
  readonly keep: boolean;
}

/**
 * How many bytes come back at least when the points that are not kept go. Points share files, and what they share is only known in the
 * bucket; but a kept point holds no more than its files, and no more than the kept one before it held besides what the runs since then
 * have added. Pure.
 * @param storedBytes what lies in the bucket for the job
 */
export function freedAtLeast(points: readonly SizedPoint[], storedBytes: number): number {
  if (points.every((point) => point.keep)) return 0;
  let remains = 0;
  let addedSince = 0;
  let first = true;
  for (const point of [...points].sort((one, other) => one.generation - other.generation)) {
    addedSince += point.addedBytes;
    if (!point.keep) continue;
    remains += first ? point.bytes : Math.min(point.bytes, addedSince);
    first = false;
    addedSince = 0;
  }
  return Math.max(0, storedBytes - remains);
}
