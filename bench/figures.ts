/** One measured figure. `limit` is the goal; `better` says on which side of it the figure should lie. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly limit: number;
  readonly better: 'lower' | 'higher';
  /** Smallest and largest of the single measurements behind the median. */
  readonly spread?: readonly [number, number];
}

export interface Bench {
  /** Names of the figures it measures. */
  readonly figures: readonly string[];
  run(options: BenchOptions): Promise<Figure[]>;
}

export interface BenchOptions {
  /** Number of interleaved pairs; undefined = 9 where a pair takes under 20 s, else 3. */
  readonly pairs: number | undefined;
  /** Whether this figure was asked for: a bench need not measure the others. */
  readonly wanted: (figure: string) => boolean;
  /** Share of the sizes that count, for trying the measurement itself: with anything but 1 the figures mean nothing. */
  readonly scale: number;
  readonly say: (line: string) => void;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

export function spread(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

/**
 * Measures two things in turn, a, b, a, b …, so that whatever slows the machine slows both. One unmeasured warm-up pair goes
 * first. Returns the measurements in seconds (or whatever the functions return).
 */
export async function interleave<T>(
  options: BenchOptions,
  label: string,
  a: () => Promise<T>,
  b: () => Promise<T>,
): Promise<{ a: T[]; b: T[] }> {
  const startedAt = performance.now();
  await a();
  await b();
  const pairSeconds = (performance.now() - startedAt) / 1000;
  const pairs = options.pairs ?? (pairSeconds < 20 ? 9 : 3);
  options.say(`${label}: ${pairs} pairs of about ${pairSeconds.toFixed(1)} s`);
  const measured: { a: T[]; b: T[] } = { a: [], b: [] };
  for (let pair = 0; pair < pairs; pair += 1) {
    measured.a.push(await a());
    measured.b.push(await b());
  }
  return measured;
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1000;
}

/** A figure from single measurements: their median, with the spread. */
export function figureOf(
  name: string,
  values: readonly number[],
  goal: { readonly unit: string; readonly limit: number; readonly better: Figure['better'] },
): Figure {
  return { name, value: median(values), ...goal, spread: spread(values) };
}
