import { z } from 'zod';
import { BackupError } from '../errors/backup-error.ts';
import { planRetention, TIER_NAMES, type RetentionMoment, type RetentionPoint } from './plan.ts';

/** What a job keeps of its restore points, on top of what is always kept (see plan.ts). */
export type RetentionPolicy =
  | { readonly mode: 'none' }
  | { readonly mode: 'keep_last_n'; readonly count: number }
  | { readonly mode: 'keep_days'; readonly days: number }
  | ({ readonly mode: 'tiers' } & RetentionTiers);

/** How many of the most recent hours, days, weeks (from Monday), months and years that have a point keep their newest one. 0: none. */
export interface RetentionTiers {
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yearly: number;
}

export type RetentionMode = RetentionPolicy['mode'];

export const RETENTION_MODES = [
  'none',
  'keep_last_n',
  'keep_days',
  'tiers',
] as const satisfies readonly RetentionMode[];
export { TIER_NAMES } from './plan.ts';

/** The largest values that are taken; the smallest is 1, for a single tier 0. */
export const RETENTION_LIMITS = {
  count: 10_000,
  days: 36_500,
  hourly: 8_784,
  daily: 3_660,
  weekly: 1_040,
  monthly: 1_200,
  yearly: 100,
} as const;

/** Fields as forms, scripts and the job's row have them: numbers may be text, `tiers` may be JSON text. */
export interface RetentionInput {
  readonly mode: unknown;
  /** Of `keep_last_n` and `keep_days`. */
  readonly value?: unknown;
  /** Of `tiers`: an object or JSON text with the names of RetentionTiers; absent names are 0. */
  readonly tiers?: unknown;
}

/**
 * @throws BackupError `INVALID_INPUT` with `details.field` (`retention_mode`, `retention_value`, `retention_json`) and `details.fields`
 */
export function parseRetention(input: RetentionInput): RetentionPolicy {
  const mode = z.enum(RETENTION_MODES).safeParse(input.mode);
  if (!mode.success) throw refused('retention_mode', `must be one of ${RETENTION_MODES.join(', ')}`);
  switch (mode.data) {
    case 'none':
      return { mode: 'none' };
    case 'keep_last_n':
      return { mode: 'keep_last_n', count: wholeNumber('retention_value', input.value, 1, RETENTION_LIMITS.count) };
    case 'keep_days':
      return { mode: 'keep_days', days: wholeNumber('retention_value', input.value, 1, RETENTION_LIMITS.days) };
    case 'tiers':
      return { mode: 'tiers', ...parseTiers(input.tiers) };
  }
}

function parseTiers(given: unknown): RetentionTiers {
  const field = 'retention_json';
  const value = typeof given === 'string' ? parseJson(field, given) : given;
  const tiers = z
    .strictObject(Object.fromEntries(TIER_NAMES.map((name) => [name, z.unknown().optional()])))
    .safeParse(value);
  if (!tiers.success) throw refused(field, `must be an object with some of ${TIER_NAMES.join(', ')}`);
  const count = (name: keyof RetentionTiers): number =>
    wholeNumber(field, tiers.data[name] ?? 0, 0, RETENTION_LIMITS[name], `${name} `);
  const parsed = {
    hourly: count('hourly'),
    daily: count('daily'),
    weekly: count('weekly'),
    monthly: count('monthly'),
    yearly: count('yearly'),
  };
  if (TIER_NAMES.every((name) => parsed[name] === 0))
    throw refused(field, 'at least one of the numbers must be above 0');
  return parsed;
}

function parseJson(field: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw refused(field, 'must be valid JSON');
  }
}

function wholeNumber(field: string, given: unknown, min: number, max: number, name = ''): number {
  const value = typeof given === 'string' && /^\s*-?\d{1,15}\s*$/.test(given) ? Number(given) : given;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw refused(field, `${name}must be a whole number from ${min} to ${max}`);
}

function refused(field: string, problem: string): BackupError {
  return new BackupError('INVALID_INPUT', `Some of the values are not valid. ${field}: ${problem}.`, {
    details: { field, fields: { [field]: problem } },
  });
}

/**
 * Whether `next` lets a point go that `now` keeps, at this moment: then it acts only after the cool-off. Both policies are asked about
 * the same points.
 */
export function keepsLess(
  next: RetentionPolicy,
  now: RetentionPolicy,
  points: readonly RetentionPoint[],
  at: RetentionMoment,
): boolean {
  const going = new Set(planRetention(next, points, at).flatMap(({ id, keep }) => (keep ? [] : id)));
  return planRetention(now, points, at).some(({ id, keep }) => keep && going.has(id));
}
