import type { TransferProgress } from '../engines/port.ts';

const TOLD_EVERY_MS = 1_000;
/** Behind which the speed of a moment is half forgotten. */
const SMOOTHED_MS = 10_000;

/** Counts what goes into an archive and tells of it, about once a second. */
export class TransferMeter {
  readonly #total: { readonly files: number; readonly bytes: number };
  readonly #tell: (progress: TransferProgress) => void;
  #files = 0;
  #bytes = 0;
  #speed = 0;
  #toldAt = performance.now();
  #toldBytes = 0;

  constructor(total: { readonly files: number; readonly bytes: number }, tell: (progress: TransferProgress) => void) {
    this.#total = total;
    this.#tell = tell;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    this.#perhapsTell();
  }

  fileDone(): void {
    this.#files += 1;
    this.#perhapsTell();
  }

  #perhapsTell(): void {
    const elapsed = performance.now() - this.#toldAt;
    if (elapsed < TOLD_EVERY_MS) return;
    const now = ((this.#bytes - this.#toldBytes) / elapsed) * 1000;
    const share = this.#speed === 0 ? 1 : 1 - 2 ** (-elapsed / SMOOTHED_MS);
    this.#speed += (now - this.#speed) * share;
    this.#toldAt += elapsed;
    this.#toldBytes = this.#bytes;
    const left = Math.max(0, this.#total.bytes - this.#bytes);
    this.#tell({
      bytes: this.#bytes,
      bytesTotal: Math.max(this.#total.bytes, this.#bytes),
      files: this.#files,
      filesTotal: Math.max(this.#total.files, this.#files),
      speed: Math.round(this.#speed),
      etaSeconds: this.#speed > 0 ? Math.round(left / this.#speed) : null,
      transferring: [],
      errors: 0,
    });
  }
}
