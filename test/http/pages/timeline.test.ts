import { describe, expect, it } from '@jest/globals';
import { timelineOf } from '../../../src/http/pages/timeline.ts';
import type { JudgedPointView } from '../../../src/protocol/retention.ts';
import { times } from '../../../src/protocol/times.ts';

const NOW = Date.UTC(2026, 5, 1, 12);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

function point(age: number, change: Partial<JudgedPointView> = {}): JudgedPointView {
  return {
    point_id: `p${age}`,
    run_id: `r${age}`,
    job_id: 'j',
    state: 'kept',
    status: 'success',
    complete: true,
    files: 3,
    carried: 0,
    failed: 0,
    bytes: 1000,
    added_bytes: 100,
    pinned: false,
    keep: true,
    reasons: ['all'],
    ...times({ created_at: NOW - age, goes_at: null }),
    ...change,
  };
}

const line = (points: JudgedPointView[], selected: string | null = null) => timelineOf(points, NOW, 'UTC', selected);

describe('the time line of points', () => {
  it('is nothing without points', () => {
    expect(line([])).toBeNull();
  });

  it('stands oldest first from left to right, true to time when points come regularly', () => {
    const drawn = line([0, 1, 2, 3, 4].map((days) => point(days * DAY)));
    const xs = drawn?.marks.map((mark) => Number(mark.x)) ?? [];
    const steps = xs.slice(1).map((x, index) => Math.round((x - (xs[index] ?? 0)) * 10));
    expect(xs[0]).toBeLessThan(xs.at(-1) ?? 0);
    expect(new Set(steps).size).toBe(1);
    expect(drawn?.ticks.map((tick) => tick.label)).toEqual(['now', '1 d', '2 d', '3 d', '4 d']);
  });

  it('spreads out young points where a few old ones reach back for years', () => {
    const points = [
      ...Array.from({ length: 24 }, (_, hours) => point(hours * HOUR)),
      point(30 * DAY),
      point(900 * DAY),
    ];
    const xs = (line(points)?.marks ?? []).map((mark) => Number(mark.x));
    expect(xs).toEqual([...xs].sort((one, other) => one - other));
    // True to time, six hours of 900 days would be less than a thousandth of the line.
    expect((xs.at(-1) ?? 0) - (xs.at(-7) ?? 0)).toBeGreaterThan(15);
  });

  it('keeps labels apart and everything inside', () => {
    for (const span of [10 * 60_000, HOUR, 9 * HOUR, 3 * DAY, 31 * DAY, 400 * DAY, 4000 * DAY]) {
      for (const count of [2, 7, 50, 200]) {
        const drawn = line(
          Array.from({ length: count }, (_, index) => point(Math.round((index * span) / (count - 1)))),
        );
        const ticks = (drawn?.ticks ?? []).map((tick) => Number(tick.x));
        for (let index = 1; index < ticks.length; index += 1) {
          expect((ticks[index - 1] ?? 0) - (ticks[index] ?? 0)).toBeGreaterThan(15);
        }
        for (const x of [...ticks, ...(drawn?.marks ?? []).map((mark) => Number(mark.x))]) {
          expect(x).toBeGreaterThanOrEqual(0);
          expect(x).toBeLessThanOrEqual(100);
        }
      }
    }
  });

  it('is as high as a point is large, and its solid part as what was added, never more', () => {
    const [small, large] =
      line([
        point(0, { bytes: 500, added_bytes: 900 }),
        point(DAY, { bytes: 1000, added_bytes: 0 }),
      ])?.marks.toReversed() ?? [];
    expect(small?.size).toBe(Math.round((large?.size ?? 0) / 2));
    expect(small?.added).toBe(small?.size);
    expect(large?.added).toBe(0);
  });

  it('says in words what a mark shows', () => {
    const texts = line([
      point(0, { reasons: ['newest', 'count'] }),
      point(DAY, { pinned: true, reasons: ['pinned'] }),
      point(2 * DAY, { status: 'warning', carried: 2, ...times({ goes_at: NOW + DAY }) }),
      point(3 * DAY, { keep: false, reasons: [] }),
      point(4 * DAY, { keep: false, state: 'deleting' }),
    ])?.marks.map((mark) => [mark.fate, mark.text]);
    expect(texts).toEqual([
      ['deleting', expect.stringMatching(/Being removed\.$/)],
      ['soon', expect.stringMatching(/Goes with the next maintenance\.$/)],
      ['later', expect.stringMatching(/2 files in an older version.*Goes Tue, 2 Jun 2026/)],
      ['kept', expect.stringMatching(/pinned\. .*Kept: pinned\.$/)],
      ['kept', expect.stringMatching(/Kept: the newest, one of the last\.$/)],
    ]);
  });

  it('draws a part of very many, with the chosen and the pinned among them', () => {
    const many = Array.from({ length: 9_000 }, (_, hours) =>
      point(hours * HOUR, hours === 4_321 ? { pinned: true } : {}),
    );
    const drawn = line(many, `p${6_543 * HOUR}`);
    expect(drawn?.marks.length).toBeLessThan(260);
    expect(drawn?.marks.filter((mark) => mark.pinned || mark.selected)).toHaveLength(2);
    expect(drawn?.summary).toMatch(/^9,000 restore points since .* drawn$/);
  });
});
