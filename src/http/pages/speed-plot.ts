import { formatSpeed } from '../format.ts';
import type { EventView } from '../../protocol/run.ts';

/** A speed at a moment: epoch milliseconds, bytes per second. */
export interface SpeedSample {
  readonly at: number;
  readonly speed: number;
}

export interface SpeedPlot {
  /** Paths of an SVG of `width` × `height` units; empty while there is too little to draw. */
  readonly line: string;
  readonly area: string;
  readonly width: number;
  readonly height: number;
  /** `Highest 24.1 MiB/s`, or ''. */
  readonly highest: string;
  /**
   * `<seconds>:<bytes per second> …`, whole numbers. Runs tell their speed to the database only now and then; a page that
   * watches adds what it sees meanwhile (public/live.js).
   */
  readonly samples: string;
}

const WIDTH = 600;
const HEIGHT = 80;
/** Room above the highest value, so that its line is not cut. */
const TOP = 3;
const MOST_POINTS = 150;

/**
 * The speed over time, from the progress that a run has told and from what it does now. Null when there is nothing to draw.
 * @param current the speed now, null when the run does not copy
 */
export function speedPlot(events: readonly EventView[], current: SpeedSample | null): SpeedPlot | null {
  const told = events.flatMap((event) => {
    const speed = event.params['speed_bps'];
    const at = event.ts_epoch_ms;
    return event.type === 'progress' && typeof speed === 'number' && at !== null
      ? [{ at, speed: Math.max(0, speed) }]
      : [];
  });
  const samples = thinned([...told, ...(current === null ? [] : [current])]);
  const highest = Math.max(0, ...samples.map((sample) => sample.speed));
  const line = lineOf(samples, highest);
  if (line === '' && current === null) return null;
  return {
    line,
    area: line === '' ? '' : `${line}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`,
    width: WIDTH,
    height: HEIGHT,
    highest: highest > 0 ? `Highest ${formatSpeed(highest)}` : '',
    samples: samples.map(({ at, speed }) => `${Math.round(at / 1000)}:${Math.round(speed)}`).join(' '),
  };
}

function lineOf(samples: readonly SpeedSample[], highest: number): string {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || last.at - first.at < 1000 || highest <= 0) return '';
  const points = samples.map(({ at, speed }) => {
    const x = ((at - first.at) / (last.at - first.at)) * WIDTH;
    const y = HEIGHT - (speed / highest) * (HEIGHT - TOP);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  return `M${points.join('L')}`;
}

/** Means of neighbours: a plot of this width shows no more. The first and the last sample stay. */
function thinned(samples: readonly SpeedSample[]): SpeedSample[] {
  const size = Math.ceil(samples.length / MOST_POINTS);
  const [first, last] = [samples[0], samples.at(-1)];
  if (size <= 1 || first === undefined || last === undefined) return [...samples];
  const groups: SpeedSample[] = [];
  for (let start = 1; start < samples.length - 1; start += size) {
    const group = samples.slice(start, Math.min(start + size, samples.length - 1));
    const mean = (pick: (sample: SpeedSample) => number): number =>
      group.reduce((sum, sample) => sum + pick(sample), 0) / group.length;
    groups.push({ at: mean((sample) => sample.at), speed: mean((sample) => sample.speed) });
  }
  return [first, ...groups, last];
}
