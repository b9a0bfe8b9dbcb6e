import { formatSpeed } from '../format.ts';
import type { EventView } from '../../protocol/run.ts';

export interface SpeedPlot {
  /** Paths of an SVG of WIDTH × HEIGHT units. */
  readonly line: string;
  readonly area: string;
  readonly width: number;
  readonly height: number;
  /** `Highest 24.1 MiB/s`. */
  readonly highest: string;
}

const WIDTH = 600;
const HEIGHT = 80;
/** Room above the highest value, so that its line is not cut. */
const TOP = 3;
const MOST_POINTS = 150;

/** The speed over time, from the progress that a run has told. Null while there is too little to draw. */
export function speedPlot(events: readonly EventView[]): SpeedPlot | null {
  const samples = events.flatMap((event) => {
    const speed = event.params['speed_bps'];
    const at = event.ts_epoch_ms;
    return event.type === 'progress' && typeof speed === 'number' && at !== null
      ? [{ at, speed: Math.max(0, speed) }]
      : [];
  });
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined || last.at - first.at < 3000) return null;
  const highest = Math.max(...samples.map((sample) => sample.speed));
  if (highest <= 0) return null;
  const points = thinned(samples).map(({ at, speed }) => {
    const x = ((at - first.at) / (last.at - first.at)) * WIDTH;
    const y = HEIGHT - (speed / highest) * (HEIGHT - TOP);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  const line = `M${points.join('L')}`;
  return {
    line,
    area: `${line}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`,
    width: WIDTH,
    height: HEIGHT,
    highest: `Highest ${formatSpeed(highest)}`,
  };
}

/** Means of neighbours: a plot of this width shows no more. */
function thinned(samples: readonly { at: number; speed: number }[]): { at: number; speed: number }[] {
  const size = Math.ceil(samples.length / MOST_POINTS);
  if (size <= 1) return [...samples];
  const groups: { at: number; speed: number }[] = [];
  for (let start = 0; start < samples.length; start += size) {
    const group = samples.slice(start, start + size);
    const mean = (pick: (sample: { at: number; speed: number }) => number): number =>
      group.reduce((sum, sample) => sum + pick(sample), 0) / group.length;
    groups.push({ at: mean((sample) => sample.at), speed: mean((sample) => sample.speed) });
  }
  const [begin, end] = [samples[0], samples.at(-1)];
  return [...(begin === undefined ? [] : [begin]), ...groups.slice(1, -1), ...(end === undefined ? [] : [end])];
}
