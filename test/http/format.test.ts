import { describe, expect, it } from '@jest/globals';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatRelative,
  formatSpeed,
  formatTime,
} from '../../src/http/format.ts';

describe('figures in pages', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [1536, '1.50 KiB'],
    [10 * 1024, '10.0 KiB'],
    [1023.9 * 1024, '1.00 MiB'],
    [5 * 1024 ** 3, '5.00 GiB'],
    [1.5 * 1024 ** 6, '1536 PiB'],
    [-5, '0 B'],
    [NaN, '–'],
    [null, '–'],
    [undefined, '–'],
  ])('%s bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it('have units and separators', () => {
    expect(formatSpeed(2048)).toBe('2.00 KiB/s');
    expect(formatSpeed(null)).toBe('–');
    expect(formatCount(1234567)).toBe('1,234,567');
  });

  it.each([
    [0, 'under 1 s'],
    [1000, '1 s'],
    [65_000, '1 min 5 s'],
    [3_600_000, '1 h'],
    [7_384_000, '2 h 3 min'],
    [4 * 86_400_000 + 2 * 3_600_000, '4 d 2 h'],
    [null, '–'],
  ])('%s ms are %s', (milliseconds, text) => expect(formatDuration(milliseconds)).toBe(text));
});

describe('times in pages', () => {
  const now = Date.UTC(2026, 0, 10, 12);

  it.each([
    [now, 'just now'],
    [now + 20_000, 'in a moment'],
    [now - 60_000, '1 min ago'],
    [now - 59 * 60_000, '1 h ago'],
    [now - 5 * 3_600_000, '5 h ago'],
    [now + 2 * 86_400_000, 'in 2 d'],
    [now - 80 * 86_400_000, '80 d ago'],
    [now - 240 * 86_400_000, '8 months ago'],
    [now - 800 * 86_400_000, '2 years ago'],
    [null, 'never'],
  ])('are relative: %s', (at, text) => expect(formatRelative(at, now)).toBe(text));

  it('are exact in the zone of the reader', () => {
    expect(formatTime(now, 'Europe/Berlin')).toMatch(/^Sat, 10 Jan 2026,? (?:at )?13:00:00 CET$/);
    expect(formatTime(null, 'UTC')).toBe('never');
  });
});
