import type { RunProgress } from '../database/leases.ts';
import type { RestoreProgress } from '../restore/report.ts';

/** Speed is that of the last seconds: a mean over all of it would hardly move towards the end. */
const WINDOW_MS = 10_000;

/** Live figures of a restore, with speed and time left from what it tells of itself. */
export class RestoreFigures {
  readonly #clock: () => number;
  #marks: { at: number; bytes: number }[] = [];

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
  }

  take(progress: RestoreProgress): RunProgress {
    const speed = progress.phase === 'copying' ? this.#speed(progress.bytes) : 0;
    const left = progress.bytesTotal - progress.bytes;
    return {
      phase: progress.phase,
      bytesTotal: progress.bytesTotal,
      bytesTransferred: progress.bytes,
      bytesProcessed: progress.bytes,
      objectsTotal: progress.filesTotal,
      objectsTransferred: progress.files,
      speedBytesPerSec: speed,
      etaSeconds: speed > 0 && left > 0 ? Math.round(left / speed) : null,
      currentItem: null,
      percent: percentOf(progress),
    };
  }

  #speed(bytes: number): number {
    const at = this.#clock();
    const last = this.#marks.at(-1);
    if (last === undefined || at - last.at >= 500) this.#marks.push({ at, bytes });
    while (this.#marks.length > 2 && at - (this.#marks[1]?.at ?? at) >= WINDOW_MS) this.#marks.shift();
    const first = this.#marks[0];
    if (first === undefined || at - first.at < 500) return 0;
    return Math.max(0, Math.round(((bytes - first.bytes) / (at - first.at)) * 1_000));
  }
}

function percentOf({ phase, files, filesTotal, bytes, bytesTotal }: RestoreProgress): number {
  const share = bytesTotal > 0 && phase === 'copying' ? bytes / bytesTotal : filesTotal > 0 ? files / filesTotal : 0;
  const done = Math.min(1, Math.max(0, share));
  if (phase === 'comparing') return 5 * done;
  return phase === 'copying' ? 5 + 85 * done : 90 + 9 * done;
}
