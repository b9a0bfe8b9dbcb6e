import { setFlagsFromString } from 'node:v8';

/** How far a heap may grow beyond what was in use after the last collection, in percent. V8's own measure is up to 300. */
const TIGHT_PERCENT = 20;
const LOOSE_PERCENT = 100;
/** After this long without a large list the process goes back to V8's own measure. */
const CALM_MS = 60_000;
/** Lists of this many items are large: each is some tens of megabytes. */
const LARGE_ITEMS = 10_000;

let calm: NodeJS.Timeout | null = null;
let streams = 0;

/**
 * Told of each part of a list that goes to disk. From lists that are so large on, memory counts more than time: a run over a million
 * files uses 70 MB at any moment, but V8 would let garbage grow to several times as much before it collects.
 */
export function heapHolds(items: number): void {
  if (items < LARGE_ITEMS) return;
  if (calm !== null) clearTimeout(calm);
  calm = setTimeout(() => {
    calm = null;
    choose();
  }, CALM_MS).unref();
  choose();
}

/**
 * Told while buffers of megabytes come and go, and give their memory back by themselves. V8 takes each for a growth of its heap, and with its own
 * measure would collect after every third one, a fifth of a run's time. Call the answer at the end.
 */
export function heapPassesBuffers(): () => void {
  streams += 1;
  choose();
  return () => {
    streams -= 1;
    choose();
  };
}

function choose(): void {
  const percent = streams > 0 ? LOOSE_PERCENT : calm === null ? 0 : TIGHT_PERCENT;
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}
