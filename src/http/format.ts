import { formatDate } from './dates.ts';

/** How figures and times are written in pages. Pure; units are always told. */

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `0 B`, `512 B`, `1.5 KiB`, `2.00 GiB`: three figures that count. */
export function formatBytes(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return '–';
  let value = Math.max(0, bytes);
  if (value < 1024) return `${Math.round(value)} B`;
  let unit = -1;
  // 1023.95 would be written as 1024.
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${UNITS[unit]}`;
}

export function formatSpeed(bytesPerSecond: number | null | undefined): string {
  return bytesPerSecond === null || bytesPerSecond === undefined ? '–' : `${formatBytes(bytesPerSecond)}/s`;
}

/** `12,345` */
export function formatCount(count: number | null | undefined): string {
  return count === null || count === undefined ? '–' : count.toLocaleString('en');
}

/** `under 1 s`, `42 s`, `1 min 5 s`, `2 h 3 min`, `4 d 2 h`: the two largest units. */
export function formatDuration(milliseconds: number | null | undefined): string {
  if (milliseconds === null || milliseconds === undefined || !Number.isFinite(milliseconds)) return '–';
  const seconds = Math.round(Math.max(0, milliseconds) / 1000);
  if (milliseconds < 1000 && seconds < 1) return 'under 1 s';
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  return parts
    .slice(first < 0 ? 3 : first, (first < 0 ? 3 : first) + 2)
    .filter(([value], index) => value > 0 || index === 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(' ');
}

/** `just now`, `5 min ago`, `in 3 h`, `2 d ago`, `8 months ago`, `2 years ago`; the exact time belongs beside it (`formatTime`). */
export function formatRelative(epochMs: number | null | undefined, now: number): string {
  if (epochMs === null || epochMs === undefined) return 'never';
  const distance = Math.abs(now - epochMs);
  if (distance < 45_000) return epochMs > now ? 'in a moment' : 'just now';
  // Size of a unit, and from how many of them on it is the one to be told.
  const steps: [number, number, string][] = [
    [31_557_600_000, 1.95, 'years'],
    [2_629_800_000, 2.95, 'months'],
    [86_400_000, 0.95, 'd'],
    [3_600_000, 0.95, 'h'],
  ];
  const [size, , unit] = steps.find(([size, from]) => distance >= size * from) ?? [60_000, 1, 'min'];
  const amount = `${Math.max(1, Math.round(distance / size))} ${unit}`;
  return epochMs > now ? `in ${amount}` : `${amount} ago`;
}

/** `Tue, 4 Nov 2025, 14:05:09 CET` */
export function formatTime(epochMs: number | null | undefined, timezone: string): string {
  if (epochMs === null || epochMs === undefined) return 'never';
  return formatDate(epochMs, 'full', timezone);
}
