/** Megabytes of one rclone where nothing else is configured. */
export const MEMORY_MB = 512;

const MIB = 1024 ** 2;
/** S3 takes ten thousand parts an upload (and none smaller than this), so large files have large parts. */
const MOST_PARTS = 10_000;
const SMALLEST_PART = 5 * MIB;

/** Files that rclone may list in one piece: it holds about a kilobyte of memory for each, and half of what it has may go there. */
export function filesInOnePiece(megabytes: number): number {
  return Math.max(10_000, megabytes * 600);
}

/**
 * Flags that keep the buffers of uploads within half of rclone's memory, whatever number of files goes at once; the other half is for
 * the program and its listings. Uploads wait for each other then. One part of the largest file must fit, and another beside it.
 * @param largest bytes of the largest file, as far as it is known
 */
export function memoryFlags(megabytes: number, largest: number): string[] {
  const part = Math.max(SMALLEST_PART, Math.ceil(largest / MOST_PARTS / MIB) * MIB);
  const buffers = Math.max((megabytes / 2) * MIB, 2 * part);
  const concurrency = Math.max(1, Math.min(4, Math.floor(buffers / (8 * part))));
  return [
    ...['--max-buffer-memory', `${Math.ceil(buffers / MIB)}Mi`],
    ...['--s3-upload-concurrency', String(concurrency), '--multi-thread-streams', String(concurrency)],
  ];
}
