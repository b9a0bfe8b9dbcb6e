import type { JobCard } from '../../protocol/job.ts';
import { sinceText } from './words.ts';

export type SafetyKind = 'failed' | 'overdue' | 'warning' | 'waiting' | 'paused' | 'good';

/** The answer to "is my data safe": `word` [since `since`] · `lead` `at` `rest`. */
export interface Safety {
  readonly kind: SafetyKind;
  readonly word: string;
  /** Epoch milliseconds, and the day in words. */
  readonly since: { readonly at: number; readonly text: string } | null;
  readonly lead: string;
  readonly at: number | null;
  readonly rest: string;
}

/** Worst first: the order of the list of jobs. */
export const safetyOrder: readonly SafetyKind[] = ['failed', 'overdue', 'warning', 'waiting', 'paused', 'good'];

type Facts = Pick<
  JobCard,
  'status' | 'frozen' | 'last_run' | 'overdue_since_epoch_ms' | 'last_good_at_epoch_ms' | 'next_run_at_epoch_ms'
>;

/**
 * Safe is what a good restore point proves: one that is there, and as young as the schedule promises. A run that was cancelled
 * or skipped says nothing, one that failed leaves everything since the last good point without a backup.
 */
export function safetyOf(job: Facts, now: number, timezone: string): Safety {
  const good = job.last_good_at_epoch_ms;
  const since = good === null ? null : { at: good, text: sinceText(good, now, timezone) };
  const run = job.last_run;
  const unprotected = since === null ? 'Never protected' : 'Not protected since';
  const plain = { since: null, at: null, rest: '' };

  if (job.status === 'paused') {
    return good === null
      ? { ...plain, kind: 'paused', word: 'Paused', lead: 'nothing is backed up yet' }
      : { ...plain, kind: 'paused', word: 'Paused', lead: 'last good point', at: good };
  }
  if (run?.status === 'failed') {
    const rest = run.problem === null ? '' : `: ${startLower(run.problem.what)}`;
    return {
      kind: 'failed',
      word: unprotected,
      since,
      lead: 'the last run failed',
      at: run.finished_at_epoch_ms,
      rest,
    };
  }
  if (job.overdue_since_epoch_ms !== null) {
    return {
      kind: 'overdue',
      word: unprotected,
      since,
      lead: 'a run is overdue since',
      at: job.overdue_since_epoch_ms,
      rest: '',
    };
  }
  if (good === null) {
    const due = job.next_run_at_epoch_ms;
    if (run !== null && run.finished_at_epoch_ms === null) {
      return { ...plain, kind: 'waiting', word: 'Not protected yet', lead: 'the first run is under way' };
    }
    return due === null
      ? { ...plain, kind: 'waiting', word: 'Not protected yet', lead: 'start the first run' }
      : { ...plain, kind: 'waiting', word: 'Not protected yet', lead: 'the first run starts', at: due };
  }
  if (run?.status === 'warning' || run?.status === 'partial_success') {
    return {
      ...plain,
      kind: 'warning',
      word: 'Protected with gaps',
      lead: 'some files are missing or older, last point',
      at: good,
    };
  }
  if (job.frozen !== null) {
    return {
      ...plain,
      kind: 'warning',
      word: 'Protected, please look',
      lead: 'unusually many changes, last good point',
      at: good,
    };
  }
  return { ...plain, kind: 'good', word: 'Protected', lead: 'last good point', at: good };
}

function startLower(sentence: string): string {
  const text = sentence.replace(/\.$/, '');
  return text.charAt(0).toLowerCase() + text.slice(1);
}
