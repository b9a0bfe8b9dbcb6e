import { catalogue, type ErrorCode } from '../../errors/catalogue.ts';
import type { EventView } from '../../protocol/run.ts';

export interface EventRow {
  readonly at: number | null;
  readonly icon: 'failed' | 'warning' | 'good' | 'cancelled' | 'dot';
  /** For those who do not see the icon. */
  readonly word: string;
  readonly text: string;
  /** Further lines of the event: one file each. */
  readonly lines: readonly string[];
  /** What to do, when the text does not say it. */
  readonly action: string | null;
}

export function eventRow(event: EventView): EventRow {
  const [text = '', ...lines] = event.message.split('\n');
  const advice = adviceFor(event.code);
  return {
    at: event.ts_epoch_ms,
    ...signOf(event),
    text,
    lines,
    action:
      advice === null || event.level === 'info' || event.type === 'summary' || event.message.includes(advice)
        ? null
        : advice,
  };
}

function signOf(event: EventView): Pick<EventRow, 'icon' | 'word'> {
  if (event.level === 'error') return { icon: 'failed', word: 'Error' };
  if (event.type === 'cancelled') return { icon: 'cancelled', word: 'Cancelled' };
  if (event.level === 'warn') return { icon: 'warning', word: 'Warning' };
  return event.type === 'summary' ? { icon: 'good', word: 'Done' } : { icon: 'dot', word: '' };
}

function adviceFor(code: string): string | null {
  return Object.hasOwn(catalogue, code) ? catalogue[code as ErrorCode].action : null;
}
