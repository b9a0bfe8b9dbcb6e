import { parseRetention, type RetentionPolicy } from '../retention/policy.ts';

/** The columns of a job that hold its retention. */
export interface RetentionColumns {
  readonly retention_mode: string;
  readonly retention_value: number | null;
  /** JSON text. */
  readonly retention_json: string | null;
}

/** The policy that these columns hold. One that cannot be read removes nothing: it counts as `none`. */
export function policyOf(row: Readonly<Record<keyof RetentionColumns, unknown>>): RetentionPolicy {
  const value = typeof row.retention_value === 'bigint' ? Number(row.retention_value) : row.retention_value;
  try {
    return parseRetention({ mode: row.retention_mode, value, tiers: row.retention_json });
  } catch {
    return { mode: 'none' };
  }
}

export function retentionColumns(policy: RetentionPolicy): RetentionColumns {
  switch (policy.mode) {
    case 'none':
      return { retention_mode: 'none', retention_value: null, retention_json: null };
    case 'keep_last_n':
      return { retention_mode: policy.mode, retention_value: policy.count, retention_json: null };
    case 'keep_days':
      return { retention_mode: policy.mode, retention_value: policy.days, retention_json: null };
    case 'tiers': {
      const { hourly, daily, weekly, monthly, yearly } = policy;
      const tiers = JSON.stringify({ hourly, daily, weekly, monthly, yearly });
      return { retention_mode: policy.mode, retention_value: null, retention_json: tiers };
    }
  }
}

/** A policy that waits for its cool-off, as its column holds it. Equal policies have equal texts. */
export function pendingText(policy: RetentionPolicy): string {
  return JSON.stringify(retentionColumns(policy));
}

/** Null: none waits. One that cannot be read counts as `none`: it removes nothing when it comes to act. */
export function pendingOf(text: string | null): RetentionPolicy | null {
  if (text === null || text === '') return null;
  try {
    return policyOf(JSON.parse(text) as RetentionColumns);
  } catch {
    return { mode: 'none' };
  }
}

export function samePolicy(one: RetentionPolicy, other: RetentionPolicy): boolean {
  return pendingText(one) === pendingText(other);
}
