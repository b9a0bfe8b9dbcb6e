/** What a cache is filled with, and how much memory it takes. */
export interface Weighed<T> {
  readonly value: T;
  /** Bytes, roughly. */
  readonly bytes: number;
}

/**
 * Keeps what was used last, up to so many bytes. Whoever asks for something that is being fetched waits for the same fetch; a fetch that
 * failed is forgotten. Losing all of it costs time and nothing else.
 */
export class ByteCache<T> {
  readonly #limitBytes: number;
  readonly #kept = new Map<string, Weighed<T>>();
  readonly #fetching = new Map<string, Promise<T>>();
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async get(key: string, fetch: () => Promise<Weighed<T>>): Promise<T> {
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      // A map remembers the order of insertion: the last one used goes to its end.
      this.#kept.delete(key);
      this.#kept.set(key, kept);
      return kept.value;
    }
    const fetching = this.#fetching.get(key) ?? this.#fetch(key, fetch);
    return await fetching;
  }

  #fetch(key: string, fetch: () => Promise<Weighed<T>>): Promise<T> {
    const fetching = fetch()
      .then((fetched) => {
        this.#keep(key, fetched);
        return fetched.value;
      })
      .finally(() => this.#fetching.delete(key));
    this.#fetching.set(key, fetching);
    return fetching;
  }

  #keep(key: string, fetched: Weighed<T>): void {
    if (fetched.bytes > this.#limitBytes) return;
    this.#kept.set(key, fetched);
    this.#bytes += fetched.bytes;
    for (const [oldest, { bytes }] of this.#kept) {
      if (this.#bytes <= this.#limitBytes) return;
      this.#kept.delete(oldest);
      this.#bytes -= bytes;
    }
  }
}
