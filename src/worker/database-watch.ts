/**
 * Knows since when the database has answered without a gap. A worker may take over a silent colleague's run only after it has
 * itself seen the database answer for lease + margin: otherwise an outage of the database, in which nobody can renew,
 * would cost every run an attempt.
 */
export class DatabaseWatch {
  readonly #clock: () => number;
  readonly #maxGapMs: number;
  #since: number | null = null;
  #last: number | null = null;

  /** `clock` is monotonic, in milliseconds. A silence longer than `maxGapMs` counts as an outage. */
  constructor(clock: () => number, maxGapMs: number) {
    this.#clock = clock;
    this.#maxGapMs = maxGapMs;
  }

  /** A statement that began at `startedAt` was answered just now. */
  answered(startedAt: number): void {
    const now = this.#clock();
    if (this.#since === null || this.#last === null || now - this.#last > this.#maxGapMs) this.#since = startedAt;
    this.#last = now;
  }

  failed(): void {
    this.#since = null;
    this.#last = null;
  }

  /** For how long it has answered, in milliseconds; 0 while it does not. */
  answeringForMs(): number {
    const now = this.#clock();
    if (this.#since === null || this.#last === null || now - this.#last > this.#maxGapMs) return 0;
    return now - this.#since;
  }

  get reachable(): boolean {
    return this.answeringForMs() > 0;
  }
}
