import { setImmediate as nextTurn } from 'node:timers/promises';

/** Others wait this long at most for a long piece of work. */
const TURN_MS = 15;

/** How long one request may work. What is not done then goes on with the next request, from a cursor. */
export class Budget {
  readonly #clock: () => number;
  readonly #end: number;
  #turnEnd: number;

  /** @param clock milliseconds that only rise */
  constructor(limitMs: number, clock: () => number = () => performance.now()) {
    this.#clock = clock;
    const now = clock();
    this.#end = now + limitMs;
    this.#turnEnd = now + TURN_MS;
  }

  get spent(): boolean {
    return this.#clock() >= this.#end;
  }

  /** Lets other requests of this process have their turn now and then. */
  async breathe(): Promise<void> {
    if (this.#clock() < this.#turnEnd) return;
    await nextTurn();
    this.#turnEnd = this.#clock() + TURN_MS;
  }
}
