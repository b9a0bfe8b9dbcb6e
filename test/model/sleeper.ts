/** Where a process sleeps in the middle of its requests, until it is woken. */
export class Sleeper {
  readonly asleep: Promise<void>;
  readonly #woken: Promise<void>;
  #fallAsleep: () => void = () => undefined;
  #wake: () => void = () => undefined;
  isAsleep = false;

  constructor() {
    this.asleep = new Promise((resolve) => {
      this.#fallAsleep = resolve;
    });
    this.#woken = new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async sleep(): Promise<void> {
    this.isAsleep = true;
    this.#fallAsleep();
    await this.#woken;
  }

  /** Whoever waits for the process need not wait any longer: it goes on by itself. */
  abandon(): void {
    this.isAsleep = true;
    this.#fallAsleep();
  }

  wake(): void {
    this.#wake();
  }
}

/** A process that hangs, or goes on without knowing that it was given up; it will wake when everybody has forgotten it. */
export interface Zombie {
  wake(): void;
  readonly gone: Promise<void>;
}
