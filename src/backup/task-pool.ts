/**
 * Runs tasks side by side, at most `limit` at once. The first error stops it: `start` and `drain` throw it, tasks under way are
 * waited for by `drain`, so that nothing goes on behind the caller's back.
 */
export class TaskPool {
  readonly #limit: number;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | null = null;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Starts a task as soon as there is room; returns when it has been started. */
  async start(task: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#limit) await Promise.race(this.#running);
    this.#throwFailure();
    const running = task()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits for all tasks; throws the first error. */
  async drain(): Promise<void> {
    await Promise.all(this.#running);
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}

/** The results of `work` on each item, in the order of the items, at most `limit` at once. Throws the first error, after all have ended. */
export async function mapParallel<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  const pool = new TaskPool(limit);
  try {
    for (const [i, item] of items.entries()) {
      await pool.start(async () => {
        results[i] = await work(item);
      });
    }
  } finally {
    await pool.drain();
  }
  return results;
}
