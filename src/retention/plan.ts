import { wallAt, offsetAt } from '../schedule/zone.ts';
import type { RetentionPolicy, RetentionTiers } from './policy.ts';

/** Finest first: a point that several tiers keep says so in this order. */
export const TIER_NAMES = [
  'hourly',
  'daily',
  'weekly',
  'monthly',
  'yearly',
] as const satisfies readonly (keyof RetentionTiers)[];

/** One restore point as retention sees it, whatever mode its job backs up in. */
export interface RetentionPoint {
  readonly id: string;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  /** Counted per job; "newer" means a higher generation, never a clock. */
  readonly generation: number;
  readonly status: 'success' | 'warning';
  readonly pinned: boolean;
}

export interface RetentionMoment {
  /** Epoch milliseconds, by the database's clock. */
  readonly now: number;
  /** IANA name: where days, weeks, months and years begin. */
  readonly timezone: string;
}

export type KeepReason =
  /** Always: the newest point, the newest success (a warning never causes the last success to go), pinned ones. */
  | 'newest'
  | 'last_good'
  | 'pinned'
  /** The policy keeps all. */
  | 'all'
  | 'count'
  | 'age'
  | keyof RetentionTiers;

export interface Verdict {
  readonly id: string;
  readonly keep: boolean;
  /** Why it is kept; empty when it goes. */
  readonly reasons: readonly KeepReason[];
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** 1970-01-05 was a Monday. */
const FIRST_MONDAY = 4;

/**
 * What a policy keeps of a job's points, in the order in which they were given. Pure. A policy with larger numbers keeps at least
 * what one with smaller numbers keeps.
 */
export function planRetention(
  policy: RetentionPolicy,
  points: readonly RetentionPoint[],
  at: RetentionMoment,
): Verdict[] {
  const newestFirst = [...points].sort((a, b) => b.generation - a.generation);
  const reasons = new Map<string, KeepReason[]>(points.map(({ id }) => [id, []]));
  const keep = (point: RetentionPoint | undefined, reason: KeepReason): void => {
    if (point !== undefined) reasons.get(point.id)?.push(reason);
  };
  keep(newestFirst[0], 'newest');
  keep(
    newestFirst.find(({ status }) => status === 'success'),
    'last_good',
  );
  for (const point of points) if (point.pinned) keep(point, 'pinned');
  applyPolicy(policy, newestFirst, at, keep);
  return points.map(({ id }) => {
    const why = reasons.get(id) ?? [];
    return { id, keep: why.length > 0, reasons: why };
  });
}

function applyPolicy(
  policy: RetentionPolicy,
  newestFirst: readonly RetentionPoint[],
  at: RetentionMoment,
  keep: (point: RetentionPoint, reason: KeepReason) => void,
): void {
  switch (policy.mode) {
    case 'none':
      for (const point of newestFirst) keep(point, 'all');
      return;
    case 'keep_last_n':
      for (const point of newestFirst.slice(0, policy.count)) keep(point, 'count');
      return;
    case 'keep_days': {
      // By the clock on the wall, so that a day on which the clock changes is a day like any other.
      const since = wallAt(at.now, at.timezone) - policy.days * DAY;
      for (const point of newestFirst) if (wallAt(point.createdAt, at.timezone) >= since) keep(point, 'age');
      return;
    }
    case 'tiers':
      for (const tier of TIER_NAMES) keepTier(tier, policy[tier], newestFirst, at, keep);
  }
}

/** The newest point of each of the `count` most recent periods that have one. */
function keepTier(
  tier: keyof RetentionTiers,
  count: number,
  newestFirst: readonly RetentionPoint[],
  { timezone }: RetentionMoment,
  keep: (point: RetentionPoint, reason: KeepReason) => void,
): void {
  const seen = new Set<string>();
  for (const point of newestFirst) {
    if (seen.size >= count) return;
    const period = PERIODS[tier](point.createdAt, timezone);
    if (seen.has(period)) continue;
    seen.add(period);
    keep(point, tier);
  }
}

/** Names the period in which an instant lies, on the clock of a zone. */
const PERIODS: Readonly<Record<keyof RetentionTiers, (epochMs: number, timezone: string) => string>> = {
  // An hour that occurs twice, when the clock goes back, is two hours.
  hourly: (at, zone) => `${Math.floor(wallAt(at, zone) / HOUR)}@${offsetAt(at, zone)}`,
  daily: (at, zone) => String(dayOf(at, zone)),
  weekly: (at, zone) => String(Math.floor((dayOf(at, zone) - FIRST_MONDAY) / 7)),
  monthly: (at, zone) => new Date(wallAt(at, zone)).toISOString().slice(0, -17),
  yearly: (at, zone) => String(new Date(wallAt(at, zone)).getUTCFullYear()),
};

function dayOf(epochMs: number, timezone: string): number {
  return Math.floor(wallAt(epochMs, timezone) / DAY);
}

/** A point with what it would free: the bytes that its own run stored. */
export interface SizedPoint extends RetentionPoint {
  readonly addedBytes: number;
}

/** What a policy would do at this moment, for the page where it is chosen. */
export interface RetentionPreview {
  readonly verdicts: readonly Verdict[];
  readonly kept: number;
  readonly going: number;
  /**
   * What the runs of the going points stored. Objects that kept points still name stay, so at most this much comes back; where the
   * bucket keeps versions, only when they expire.
   */
  readonly freedBytesAtMost: number;
  /** How many points each reason keeps. */
  readonly reasons: Readonly<Partial<Record<KeepReason, number>>>;
}

export function previewRetention(
  policy: RetentionPolicy,
  points: readonly SizedPoint[],
  at: RetentionMoment,
): RetentionPreview {
  const verdicts = planRetention(policy, points, at);
  const reasons: Partial<Record<KeepReason, number>> = {};
  for (const reason of verdicts.flatMap((verdict) => verdict.reasons)) reasons[reason] = (reasons[reason] ?? 0) + 1;
  const going = points.filter((_, i) => verdicts[i]?.keep === false);
  return {
    verdicts,
    kept: points.length - going.length,
    going: going.length,
    freedBytesAtMost: going.reduce((sum, { addedBytes }) => sum + addedBytes, 0),
    reasons,
  };
}
