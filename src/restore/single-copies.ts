import type { RcloneDaemon } from '../engines/rclone/daemon.ts';
import { classify, type Sides } from '../engines/rclone/error-classes.ts';
import { callError } from '../engines/rclone/process.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import { redact } from '../security/redact.ts';
import type { CopyProgress, SingleCopy } from './port.ts';

/** Single files of one call: enough to keep it busy, few enough to hear often how it goes. */
const FILES_A_BATCH = 128;
const BYTES_A_BATCH = 64 * 1024 ** 2;
/** Failures of the connection one after the other, after which going on is hopeless. */
const HOPELESS = 100;
const POLL_MS = 1_000;
/** Ended when nothing at all moves for so long: longer than rclone's own patience. */
const STALL_MS = 15 * 60_000;

/** Calls of many single copies, and what became of each. */
export class Batches {
  readonly failed = new Map<string, ErrorCode>();
  readonly done = { files: 0, bytes: 0 };
  readonly #daemon: RcloneDaemon;
  readonly #inputOf: (item: SingleCopy) => Record<string, string>;
  readonly #sides: Sides;
  #inRow = 0;

  constructor(daemon: RcloneDaemon, inputOf: (item: SingleCopy) => Record<string, string>, sides: Sides) {
    this.#daemon = daemon;
    this.#inputOf = inputOf;
    this.#sides = sides;
  }

  async copy(items: readonly SingleCopy[], concurrency: number): Promise<void> {
    const { results } = await this.#daemon.call('job/batch', { concurrency, inputs: items.map(this.#inputOf) });
    if (!Array.isArray(results) || results.length !== items.length) {
      throw callError({ code: 'ERR_TRANSFER', message: 'The answer does not fit the call.' });
    }
    for (const [index, result] of (results as unknown[]).entries()) {
      const message = errorOf(result);
      const item = items[index];
      if (item === undefined) continue;
      this.done.files += 1;
      if (message === null) {
        this.#inRow = 0;
        this.done.bytes += item.size;
      } else this.#fail(item.toPath, message);
    }
  }

  #fail(path: string, message: string): void {
    const { code, whole } = classify(message, this.#sides);
    this.failed.set(path, code);
    if (whole) this.#inRow += 1;
    if (this.#inRow >= HOPELESS) throw callError({ code, message: redact(message) });
  }
}

/** Tells how far single copies are, also within large files, and ends them when nothing moves any more. */
export class Watch {
  stalled: Error | null = null;
  readonly #daemon: RcloneDaemon;
  readonly #done: Readonly<{ files: number; bytes: number }>;
  readonly #onProgress: CopyProgress;
  readonly #timer: NodeJS.Timeout;
  /** What the program had moved when this began. */
  #before: number | null = null;
  #moved = { what: '', at: performance.now() };

  constructor(daemon: RcloneDaemon, done: { files: number; bytes: number }, onProgress: CopyProgress) {
    this.#daemon = daemon;
    this.#done = done;
    this.#onProgress = onProgress;
    this.#timer = setInterval(() => void this.#look().catch(() => undefined), POLL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const { bytes, transfers, checks, errors } = await this.#daemon.call('core/stats', {});
    const now = performance.now();
    const what = [bytes, transfers, checks, errors].join(' ');
    if (what !== this.#moved.what) this.#moved = { what, at: now };
    else if (now - this.#moved.at > STALL_MS) {
      this.stalled = callError({ code: 'ERR_NETWORK', message: 'Nothing moved any more.' });
      await this.#daemon.stop();
    }
    this.#before ??= Number(bytes) - this.#done.bytes;
    this.#onProgress({ files: this.#done.files, bytes: Math.max(this.#done.bytes, Number(bytes) - this.#before) });
  }
}

function errorOf(result: unknown): string | null {
  if (typeof result !== 'object' || result === null) return 'no result';
  const { error } = result as { error?: unknown };
  return typeof error === 'string' && error !== '' ? error : null;
}

/** Items in portions that are worth a call each; a large file is one by itself. */
export async function* inBatches(items: AsyncIterable<SingleCopy>): AsyncGenerator<SingleCopy[]> {
  let batch: SingleCopy[] = [];
  let bytes = 0;
  for await (const item of items) {
    if (batch.length > 0 && bytes + item.size > BYTES_A_BATCH) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(item);
    bytes += item.size;
    if (batch.length < FILES_A_BATCH) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}
