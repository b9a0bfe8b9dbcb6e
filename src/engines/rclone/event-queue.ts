/** Events from callbacks as an async iterable. Progress that nobody reads is replaced by the next one, so the queue stays short. */
export class EventQueue<T extends { readonly type: string }> implements AsyncIterable<T> {
  #waiting: T[] = [];
  #ended = false;
  #wake: (() => void) | null = null;

  push(event: T): void {
    const last = this.#waiting.at(-1);
    if (event.type === 'progress' && last?.type === 'progress') this.#waiting.pop();
    this.#waiting.push(event);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      const event = this.#waiting.shift();
      if (event !== undefined) yield event;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
