import type { Show } from './define.ts';

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `1.50 MiB`, two decimals from KiB on; `0 Bytes`, `1 Byte`. */
export function formatBytes(value: number, locale = 'en'): string {
  const bytes = Math.max(0, Math.round(finite(value)));
  if (bytes < 1024) return bytes === 1 ? '1 Byte' : `${bytes} Bytes`;
  let amount = bytes / 1024;
  let unit = 0;
  // What would be shown as 1024.00 belongs to the next unit.
  while (amount >= 1023.995 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${decimals(locale).format(amount)} ${UNITS[unit]}`;
}

/** `1h 2m 3s`; `-` when it is not known. */
export function formatDuration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds) || seconds < 0) return '-';
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [hours = 0, minutes = 0, rest = 0] = parts;
  return [...(hours > 0 ? [`${hours}h`] : []), ...(hours > 0 || minutes > 0 ? [`${minutes}m`] : []), `${rest}s`].join(
    ' ',
  );
}

/** 0–100, two decimals. */
export function formatPercent(value: number, locale = 'en'): string {
  return `${decimals(locale).format(Math.min(100, Math.max(0, finite(value))))}%`;
}

export function formatCount(value: number, locale = 'en'): string {
  return counts(locale).format(finite(value));
}

/** Date, time and zone: a mail is read anywhere. */
export function formatTime(epochMs: number, timezone: string, locale = 'en'): string {
  const key = `${locale} ${timezone}`;
  let format = times.get(key);
  if (format === undefined) {
    format = new Intl.DateTimeFormat(locale, {
      timeZone: timezone,
      year: 'numeric',
      month: 'short',
      day: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
      timeZoneName: 'short',
    });
    times.set(key, format);
  }
  return Number.isFinite(epochMs) && Math.abs(epochMs) < 8.64e15 ? format.format(epochMs) : '-';
}

export type Units = Pick<Show, 'count' | 'many' | 'bytes' | 'speed' | 'percent' | 'duration' | 'time'>;

export function unitsFor(timezone: string, locale = 'en'): Units {
  const count = (value: number): string => formatCount(value, locale);
  return {
    count,
    many: (value, one, more = `${one}s`) => `${count(value)} ${value === 1 ? one : more}`,
    bytes: (value) => formatBytes(value, locale),
    speed: (value) => `${formatBytes(value, locale)}/s`,
    percent: (value) => formatPercent(value, locale),
    duration: formatDuration,
    time: (epochMs) => formatTime(epochMs, timezone, locale),
  };
}

const times = new Map<string, Intl.DateTimeFormat>();
const twoDecimals = new Map<string, Intl.NumberFormat>();
const wholes = new Map<string, Intl.NumberFormat>();

function decimals(locale: string): Intl.NumberFormat {
  return cached(twoDecimals, locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

function counts(locale: string): Intl.NumberFormat {
  return cached(wholes, locale, { maximumFractionDigits: 0 });
}

function cached(
  formats: Map<string, Intl.NumberFormat>,
  locale: string,
  options: Intl.NumberFormatOptions,
): Intl.NumberFormat {
  let format = formats.get(locale);
  if (format === undefined) {
    format = new Intl.NumberFormat(locale, options);
    formats.set(locale, format);
  }
  return format;
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}
