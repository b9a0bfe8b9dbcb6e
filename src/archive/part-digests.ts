import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

export interface DigestOrder {
  readonly number: number;
  readonly memory: SharedArrayBuffer;
  /** How many from the beginning of the memory. */
  readonly bytes: number;
}

interface Waiting {
  readonly resolve: (md5: string) => void;
  readonly reject: (error: Error) => void;
}

/** MD5 sums of parts, counted by a thread of their own: those of the files take all that the main one can do. */
export class PartDigests {
  readonly #waiting = new Map<number, Waiting>();
  #thread: Worker | null = null;
  #number = 0;

  /** In base64. */
  async md5(memory: SharedArrayBuffer, bytes: number): Promise<string> {
    const thread = (this.#thread ??= this.#start());
    this.#number += 1;
    const number = this.#number;
    return await new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      thread.postMessage({ number, memory, bytes } satisfies DigestOrder);
    });
  }

  /** Ends the thread; what it has not answered by then is an error. */
  async close(): Promise<void> {
    const thread = this.#thread;
    this.#thread = null;
    await thread?.terminate();
  }

  #start(): Worker {
    const program = new URL(`./part-digests.thread${extname(import.meta.url)}`, import.meta.url);
    const thread = new Worker(program, { resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 } });
    thread.on('message', ({ number, md5 }: { number: number; md5: string }) => {
      this.#waiting.get(number)?.resolve(md5);
      this.#waiting.delete(number);
    });
    const fail = (error: Error): void => {
      if (this.#thread === thread) this.#thread = null;
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    };
    thread.once('error', fail);
    thread.once('exit', () => fail(new Error('the thread that counts checksums has ended')));
    return thread;
  }
}
