import { setTimeout as delay } from 'node:timers/promises';
import type { SourceReader } from './port.ts';

/**
 * The same reader, which gives out no more than so many bytes per second, all files together; 0 = as many as come. Large files are not read in
 * parts then: one connection is enough.
 */
export function paced(reader: SourceReader, bytesPerSecond: number, signal: AbortSignal): SourceReader {
  if (bytesPerSecond <= 0) return reader;
  let freeAt = 0;
  async function* slowly(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of pieces) {
      const now = performance.now();
      const waitMs = Math.max(0, freeAt - now);
      freeAt = now + waitMs + (piece.length / bytesPerSecond) * 1_000;
      if (waitMs > 0) await delay(waitMs, undefined, { signal });
      yield piece;
    }
  }
  return {
    filesAtOnce: reader.filesAtOnce,
    open: async (file, first) => slowly(await reader.open(file, first)),
    close: async () => await reader.close(),
  };
}
