import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { planRetention, previewRetention, type KeepReason, type RetentionPoint } from '../../src/retention/plan.ts';
import {
  keepsLess,
  parseRetention,
  RETENTION_LIMITS,
  TIER_NAMES,
  type RetentionPolicy,
} from '../../src/retention/policy.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.parse('2026-06-15T12:00:00Z');
const UTC = { now: NOW, timezone: 'UTC' };
const NO_TIERS = { hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };

/** Points at these instants, the oldest first; each is a success unless it says otherwise. */
function pointsAt(instants: readonly (string | number)[], more: Partial<RetentionPoint> = {}): RetentionPoint[] {
  return instants.map((at, i) => ({
    id: typeof at === 'string' ? at : `p${i}`,
    createdAt: typeof at === 'string' ? Date.parse(at) : at,
    generation: i + 1,
    status: 'success',
    pinned: false,
    ...more,
  }));
}

function kept(policy: RetentionPolicy, points: readonly RetentionPoint[], at = UTC): string[] {
  return planRetention(policy, points, at).flatMap(({ id, keep }) => (keep ? id : []));
}

const arbitraryPoints = fc
  .array(
    fc.record({
      createdAt: fc.integer({ min: NOW - 800 * DAY, max: NOW + DAY }),
      status: fc.constantFrom('success' as const, 'warning' as const),
      pinned: fc.nat({ max: 9 }).map((roll) => roll === 0),
    }),
    { maxLength: 60 },
  )
  .map((points) => points.map((point, i): RetentionPoint => ({ ...point, id: `p${i}`, generation: i + 1 })));
const zones = fc.constantFrom(
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Apia',
);
const small = fc.nat({ max: 8 });
const tiers = fc.record({ hourly: small, daily: small, weekly: small, monthly: small, yearly: small });
const policies: fc.Arbitrary<RetentionPolicy> = fc.oneof(
  fc.constant<RetentionPolicy>({ mode: 'none' }),
  fc.integer({ min: 1, max: 20 }).map((count): RetentionPolicy => ({ mode: 'keep_last_n', count })),
  fc.integer({ min: 1, max: 400 }).map((days): RetentionPolicy => ({ mode: 'keep_days', days })),
  tiers.map((counts): RetentionPolicy => ({ mode: 'tiers', ...counts })),
);

/** A policy with larger numbers. */
function larger(policy: RetentionPolicy, by: number): RetentionPolicy {
  if (policy.mode === 'keep_last_n') return { ...policy, count: policy.count + by };
  if (policy.mode === 'keep_days') return { ...policy, days: policy.days + by };
  if (policy.mode === 'none') return policy;
  return {
    mode: 'tiers',
    ...Object.fromEntries(TIER_NAMES.map((name, i) => [name, policy[name] + (i % 2 ? by : 0)])),
  } as RetentionPolicy;
}

describe('what retention keeps', () => {
  it('is never nothing: the newest point, the newest success and every pin stay, whatever the policy', () => {
    fc.assert(
      fc.property(policies, arbitraryPoints, zones, (policy, points, timezone) => {
        const stays = new Set(kept(policy, points, { now: NOW, timezone }));
        expect(points.length === 0 || stays.size > 0).toBe(true);
        const newest = points.at(-1);
        const good = points.findLast(({ status }) => status === 'success');
        for (const point of [newest, good, ...points.filter(({ pinned }) => pinned)]) {
          if (point) expect(stays).toContain(point.id);
        }
      }),
    );
  });

  it('is at least what the same policy with smaller numbers keeps', () => {
    fc.assert(
      fc.property(policies, fc.integer({ min: 0, max: 9 }), arbitraryPoints, zones, (policy, by, points, timezone) => {
        const at = { now: NOW, timezone };
        expect(kept(larger(policy, by), points, at)).toEqual(expect.arrayContaining(kept(policy, points, at)));
        expect(keepsLess(larger(policy, by), policy, points, at)).toBe(false);
      }),
    );
  });

  it('does not depend on the order in which the points are given, and tells a reason for each that stays', () => {
    fc.assert(
      fc.property(policies, arbitraryPoints, (policy, points) => {
        const forth = planRetention(policy, points, UTC);
        const back = planRetention(policy, [...points].reverse(), UTC);
        expect([...back].reverse()).toEqual(forth);
        expect(forth.map(({ id }) => id)).toEqual(points.map(({ id }) => id));
        for (const { keep, reasons } of forth) expect(reasons.length > 0).toBe(keep);
      }),
    );
  });

  it('stays the same when it is asked again after the rest has gone', () => {
    fc.assert(
      fc.property(policies, arbitraryPoints, zones, (policy, points, timezone) => {
        const at = { now: NOW, timezone };
        const stays = new Set(kept(policy, points, at));
        const left = points.filter(({ id }) => stays.has(id));
        expect(kept(policy, left, at)).toEqual(left.map(({ id }) => id));
      }),
    );
  });

  it('keeps the last n by generation, not by clock', () => {
    const points = pointsAt(['2026-06-15T03:00Z', '2026-06-15T01:00Z', '2026-06-15T02:00Z']);
    expect(kept({ mode: 'keep_last_n', count: 2 }, points)).toEqual(['2026-06-15T01:00Z', '2026-06-15T02:00Z']);
  });

  it('never lets warnings push the last success out', () => {
    const [good, ...warnings] = pointsAt(['2026-01-01', '2026-06-13', '2026-06-14', '2026-06-15']);
    const points = [good, ...warnings.map((point) => ({ ...point, status: 'warning' as const }))] as RetentionPoint[];
    const verdicts = planRetention({ mode: 'keep_last_n', count: 1 }, points, UTC);
    expect(verdicts.map(({ reasons }) => reasons)).toEqual([['last_good'], [], [], ['newest', 'count']]);
  });

  it('keeps days by the clock on the wall', () => {
    const berlin = { now: Date.parse('2026-03-30T10:00:00Z'), timezone: 'Europe/Berlin' };
    const points = pointsAt(['2026-03-28T10:59:59Z', '2026-03-28T11:00:00Z', '2026-03-30T09:00:00Z']);
    // 12:00 there; two days before it was 12:00 at 11:00 UTC, because the clock went forward in between.
    expect(kept({ mode: 'keep_days', days: 2 }, points, berlin)).toEqual(points.slice(1).map(({ id }) => id));
  });

  const tierCases: [string, Partial<typeof NO_TIERS>, string, string[], string[]][] = [
    [
      'the newest of each day',
      { daily: 2 },
      'UTC',
      ['2026-06-13T23:59Z', '2026-06-14T00:00Z', '2026-06-14T23:00Z', '2026-06-15T00:00Z', '2026-06-15T09:00Z'],
      ['2026-06-14T23:00Z', '2026-06-15T09:00Z'],
    ],
    [
      'days that begin at local midnight',
      { daily: 2 },
      'Asia/Kathmandu',
      ['2026-06-13T18:14Z', '2026-06-13T18:15Z', '2026-06-14T18:14Z', '2026-06-14T18:15Z'],
      ['2026-06-14T18:14Z', '2026-06-14T18:15Z'],
    ],
    [
      'days without a point do not count',
      { daily: 2 },
      'UTC',
      ['2026-01-01T00:00Z', '2026-03-01T00:00Z', '2026-06-15T00:00Z'],
      ['2026-03-01T00:00Z', '2026-06-15T00:00Z'],
    ],
    [
      'the day on which the clock goes back is one day of 25 hours',
      { daily: 2 },
      'Europe/Berlin',
      ['2025-10-25T21:59Z', '2025-10-25T22:00Z', '2025-10-26T22:59Z', '2025-10-26T23:00Z'],
      ['2025-10-26T22:59Z', '2025-10-26T23:00Z'],
    ],
    [
      'the hour that comes twice is two hours',
      { hourly: 2 },
      'Europe/Berlin',
      ['2025-10-25T23:30Z', '2025-10-26T00:30Z', '2025-10-26T01:30Z'],
      ['2025-10-26T00:30Z', '2025-10-26T01:30Z'],
    ],
    [
      'the hour that is skipped is none',
      { hourly: 2 },
      'Europe/Berlin',
      ['2026-03-29T00:10Z', '2026-03-29T00:50Z', '2026-03-29T01:10Z'],
      ['2026-03-29T00:50Z', '2026-03-29T01:10Z'],
    ],
    [
      'a day that a country left out is none',
      { daily: 2 },
      'Pacific/Apia',
      ['2011-12-30T09:00Z', '2011-12-30T09:59Z', '2011-12-30T10:00Z'],
      ['2011-12-30T09:59Z', '2011-12-30T10:00Z'],
    ],
    [
      'weeks begin on Monday',
      { weekly: 2 },
      'UTC',
      ['2026-06-07T23:59Z', '2026-06-08T00:00Z', '2026-06-14T23:59Z', '2026-06-15T00:00Z'],
      ['2026-06-14T23:59Z', '2026-06-15T00:00Z'],
    ],
    [
      'a week may lie in two years',
      { weekly: 1 },
      'UTC',
      ['2025-12-29T00:00Z', '2026-01-04T23:00Z'],
      ['2026-01-04T23:00Z'],
    ],
    [
      'months and years by the local calendar',
      { monthly: 2, yearly: 2 },
      'America/New_York',
      ['2025-11-30T12:00Z', '2026-01-01T04:59Z', '2026-01-01T05:00Z', '2026-02-01T04:59Z', '2026-02-01T05:00Z'],
      ['2026-01-01T04:59Z', '2026-02-01T04:59Z', '2026-02-01T05:00Z'],
    ],
  ];
  it.each(tierCases)('%s', (_title, counts, timezone, instants, expected) => {
    const policy: RetentionPolicy = { mode: 'tiers', ...NO_TIERS, ...counts };
    expect(kept(policy, pointsAt(instants), { now: NOW, timezone })).toEqual(expected);
  });

  it('names every tier that keeps a point, the finest first', () => {
    const policy: RetentionPolicy = { mode: 'tiers', ...NO_TIERS, hourly: 1, daily: 2, yearly: 1 };
    const verdicts = planRetention(
      policy,
      pointsAt(['2026-06-13T08:00Z', '2026-06-14T08:00Z', '2026-06-15T08:00Z']),
      UTC,
    );
    expect(verdicts.map(({ reasons }) => reasons)).toEqual([
      [],
      ['daily'],
      ['newest', 'last_good', 'hourly', 'daily', 'yearly'] satisfies KeepReason[],
    ]);
  });

  it('plans ten thousand points at once', () => {
    const points = pointsAt(Array.from({ length: 10_000 }, (_, i) => NOW - (10_000 - i) * HOUR));
    const policy: RetentionPolicy = { mode: 'tiers', hourly: 24, daily: 30, weekly: 8, monthly: 12, yearly: 3 };
    const stays = kept(policy, points, { now: NOW, timezone: 'Europe/Berlin' });
    expect(stays.length).toBeGreaterThan(60);
    expect(stays.length).toBeLessThan(80);
  });
});

describe('the preview of a retention', () => {
  it('says how many go, how much comes back at most, and what keeps the others', () => {
    const points = pointsAt(['2026-06-13', '2026-06-14', '2026-06-15']).map((point) => ({ ...point, addedBytes: 100 }));
    expect(previewRetention({ mode: 'keep_last_n', count: 2 }, points, UTC)).toMatchObject({
      kept: 2,
      going: 1,
      freedBytesAtMost: 100,
      reasons: { newest: 1, last_good: 1, count: 2 },
    });
    expect(previewRetention({ mode: 'none' }, [], UTC)).toMatchObject({ kept: 0, going: 0, freedBytesAtMost: 0 });
  });
});

describe('whether a retention keeps less', () => {
  const points = pointsAt(['2026-06-01', '2026-06-10', '2026-06-14', '2026-06-15']);

  it.each<[RetentionPolicy, RetentionPolicy, boolean]>([
    [{ mode: 'keep_last_n', count: 3 }, { mode: 'none' }, true],
    [{ mode: 'keep_last_n', count: 4 }, { mode: 'none' }, false],
    [{ mode: 'none' }, { mode: 'keep_last_n', count: 1 }, false],
    [{ mode: 'keep_days', days: 3 }, { mode: 'keep_last_n', count: 2 }, false],
    [{ mode: 'keep_days', days: 3 }, { mode: 'keep_last_n', count: 3 }, true],
    [{ mode: 'tiers', ...NO_TIERS, monthly: 5 }, { mode: 'keep_last_n', count: 2 }, true],
  ])('%j after %j: %s', (next, now, expected) => {
    expect(keepsLess(next, now, points, UTC)).toBe(expected);
  });
});

describe('a retention from a form', () => {
  it.each<[Parameters<typeof parseRetention>[0], RetentionPolicy]>([
    [{ mode: 'none', value: 'whatever' }, { mode: 'none' }],
    [
      { mode: 'keep_last_n', value: '14' },
      { mode: 'keep_last_n', count: 14 },
    ],
    [
      { mode: 'keep_days', value: 30 },
      { mode: 'keep_days', days: 30 },
    ],
    [
      { mode: 'tiers', tiers: '{"daily":"7","yearly":1}' },
      { mode: 'tiers', ...NO_TIERS, daily: 7, yearly: 1 },
    ],
    [
      { mode: 'tiers', tiers: { hourly: 24 } },
      { mode: 'tiers', ...NO_TIERS, hourly: 24 },
    ],
  ])('%j', (input, expected) => {
    expect(parseRetention(input)).toEqual(expected);
  });

  const badValues = [
    0,
    -1,
    1.5,
    1e9,
    RETENTION_LIMITS.days + 1,
    Infinity,
    NaN,
    '0',
    '-5',
    '1.5',
    '1e3',
    '',
    ' ',
    'ten',
    null,
    undefined,
    true,
    [7],
    {},
  ];
  it.each(badValues)('refuses the value %p', (value) => {
    for (const mode of ['keep_last_n', 'keep_days']) {
      expect(() => parseRetention({ mode, value })).toThrow(
        expect.objectContaining({
          code: 'INVALID_INPUT',
          details: expect.objectContaining({ field: 'retention_value' }),
        }),
      );
    }
  });

  it.each([
    undefined,
    null,
    'no JSON',
    '[]',
    '{}',
    '7',
    { daily: 0 },
    { daily: -1 },
    { daily: 1.5 },
    { daily: 1e9 },
    { daily: 7, hourly: 'x' },
    { daily: 7, minutely: 1 },
  ])('refuses the tiers %p', (given) => {
    expect(() => parseRetention({ mode: 'tiers', tiers: given })).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', details: expect.objectContaining({ field: 'retention_json' }) }),
    );
  });

  it.each(['', 'forever', null, 7])('refuses the mode %p', (mode) => {
    expect(() => parseRetention({ mode, value: 7 })).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ field: 'retention_mode' }) }),
    );
  });
});
