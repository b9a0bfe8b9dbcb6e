import type { JobView } from '../../protocol/job.ts';
import type { JudgedPointView } from '../../protocol/retention.ts';
import { counted } from './words.ts';

type Policy = JobView['retention'];

const tierNames = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
const tierUnits = { hourly: 'hour', daily: 'day', weekly: 'week', monthly: 'month', yearly: 'year' } as const;

/** `The last 30 restore points`, `The newest of each of the last 24 hours and 30 days`. */
export function policyText(policy: Policy): string {
  switch (policy.mode) {
    case 'none':
      return 'All restore points';
    case 'keep_last_n':
      return policy.count === 1 ? 'The last restore point' : `The last ${counted(policy.count, 'restore point')}`;
    case 'keep_days':
      return `Restore points of the last ${policy.days === 1 ? '24 hours' : counted(policy.days, 'day')}`;
    case 'tiers': {
      const parts = tierNames.filter((name) => policy[name] > 0).map((name) => counted(policy[name], tierUnits[name]));
      const last = parts.pop() ?? '';
      return `The newest of each of the last ${parts.length === 0 ? last : `${parts.join(', ')} and ${last}`} with one`;
    }
  }
}

const reasonTexts: Readonly<Record<string, string>> = {
  newest: 'the newest',
  last_good: 'the newest without gaps',
  pinned: 'pinned',
  frozen: 'retention is stopped until it is released',
  all: 'all are kept',
  count: 'one of the last',
  age: 'young enough',
  hourly: 'newest of its hour',
  daily: 'newest of its day',
  weekly: 'newest of its week',
  monthly: 'newest of its month',
  yearly: 'newest of its year',
};

/** `the newest, newest of its day`; one that all others are kept for as well says nothing new. */
export function reasonsText(reasons: readonly string[]): string {
  const told = reasons.length > 1 ? reasons.filter((reason) => reason !== 'all') : reasons;
  return told.map((reason) => reasonTexts[reason] ?? reason).join(', ');
}

/** What becomes of a point. `soon`: with the next maintenance; `later`: at `goes_at`. */
export type Fate = 'kept' | 'later' | 'soon' | 'deleting';

export function fateOf(point: Pick<JudgedPointView, 'state' | 'keep' | 'goes_at_epoch_ms'>): Fate {
  if (point.state === 'deleting') return 'deleting';
  if (!point.keep) return 'soon';
  return point.goes_at_epoch_ms === null ? 'kept' : 'later';
}
