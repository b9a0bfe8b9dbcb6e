import { describe, expect, it } from '@jest/globals';
import { safetyOf, safetyOrder } from '../../../src/http/pages/safety.ts';
import { aCard, aRun, at } from './samples.ts';

const now = at('2025-11-22T10:00:00Z');
const text = (card: Parameters<typeof safetyOf>[0]): string => {
  const { word, since, lead, rest } = safetyOf(card, now, 'Europe/Berlin');
  return `${word}${since === null ? '' : ` ${since.text}`} · ${lead}${rest}`;
};

describe('is my data safe', () => {
  it('says "Protected" with the age of the last good point', () => {
    const safety = safetyOf(aCard({ lastGoodAt: now - 7_200_000 }), now, 'UTC');
    expect(safety).toMatchObject({ kind: 'good', word: 'Protected', lead: 'last good point', at: now - 7_200_000 });
  });

  it('says since which day nothing is protected when the last run failed, and why', () => {
    const card = aCard({
      lastGoodAt: at('2025-11-18T02:00:00Z'),
      lastRun: aRun({ status: 'failed', code: 'ERR_SFTP_AUTH' }),
    });
    expect(text(card)).toBe(
      'Not protected since Tuesday · the last run failed: the SFTP server refused the user name, password or key',
    );
  });

  it('takes the weekday from the viewer zone, and the date when it is long ago', () => {
    const card = aCard({ lastGoodAt: at('2025-11-17T23:30:00Z'), lastRun: aRun({ status: 'failed' }) });
    expect(safetyOf(card, now, 'Europe/Berlin').since?.text).toBe('Tuesday');
    expect(safetyOf(card, now, 'UTC').since?.text).toBe('Monday');
    const old = aCard({ lastGoodAt: at('2025-09-01T02:00:00Z'), lastRun: aRun({ status: 'failed' }) });
    expect(safetyOf(old, now, 'UTC').since?.text).toBe('1 Sept 2025');
  });

  it('says "Never protected" when no run was ever good', () => {
    expect(text(aCard({ lastGoodAt: null, lastRun: aRun({ status: 'failed' }) }))).toMatch(/^Never protected · /);
  });

  it('is overdue when the schedule promised a point that did not come', () => {
    const safety = safetyOf(aCard({ overdueSince: now - 3_600_000 }), now, 'UTC');
    expect(safety).toMatchObject({ kind: 'overdue', at: now - 3_600_000 });
  });

  it('does not count a cancelled or skipped run against a good point', () => {
    expect(safetyOf(aCard({ lastRun: aRun({ status: 'cancelled' }) }), now, 'UTC').kind).toBe('good');
  });

  it('shows gaps, and a frozen retention, as something to look at', () => {
    expect(safetyOf(aCard({ lastRun: aRun({ status: 'warning' }) }), now, 'UTC').word).toBe('Protected with gaps');
    expect(safetyOf(aCard({ frozen: true }), now, 'UTC').kind).toBe('warning');
  });

  it('tells a new job from one that is paused', () => {
    expect(safetyOf(aCard({ lastGoodAt: null, lastRun: null }), now, 'UTC')).toMatchObject({
      kind: 'waiting',
      word: 'Not protected yet',
    });
    expect(safetyOf(aCard({ status: 'paused' }), now, 'UTC').kind).toBe('paused');
  });

  it('puts what is unprotected before what is safe', () => {
    expect(safetyOrder).toEqual(['failed', 'overdue', 'warning', 'waiting', 'paused', 'good']);
  });
});
