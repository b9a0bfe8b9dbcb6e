import { setFlagsFromString } from 'node:v8';

/** How far a heap may grow beyond what was in use after the last collection, in percent. V8's own measure is up to 300. */
const TIGHT_PERCENT = 20;
/** After this long without a large list the process goes back to V8's own measure. */
const CALM_MS = 60_000;
/** Lists of this many items are large: each is some tens of megabytes. */
const LARGE_ITEMS = 10_000;

let calm: NodeJS.Timeout | null = null;

/**
 * Told of each part of a list that goes to disk. From lists that are so large on, memory counts more than time: a run over a million
 * files uses 70 MB at any moment, but V8 would let garbage grow to several times as much before it collects.
 */
export function heapHolds(items: number): void {
  if (items < LARGE_ITEMS) return;
  if (calm === null) setFlagsFromString(`--heap-growing-percent=${TIGHT_PERCENT}`);
  else clearTimeout(calm);
  calm = setTimeout(() => {
    calm = null;
    setFlagsFromString('--heap-growing-percent=0');
  }, CALM_MS).unref();
}
