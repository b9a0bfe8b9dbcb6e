import { describe, expect, it } from '@jest/globals';
import { stripOf } from '../../../src/http/pages/strip.ts';
import { days } from './samples.ts';

describe('the strip of thirty days', () => {
  it('gives each day a shape and its words', () => {
    const strip = stripOf(days({ '2025-11-20': 'failed', '2025-11-22': 'running' }), '2025-01-01');
    expect(strip.days).toHaveLength(30);
    expect(strip.days[27]).toEqual({ kind: 'failed', text: 'Thu 20 Nov: failed' });
    expect(strip.days[29]).toEqual({ kind: 'running', text: 'Sat 22 Nov: running' });
  });

  it('tells days before the job was made from days without a run', () => {
    const strip = stripOf(days({ '2025-11-01': 'idle', '2025-11-10': 'idle' }), '2025-11-05');
    expect(strip.days[8]?.kind).toBe('before');
    expect(strip.days[17]?.kind).toBe('idle');
  });

  it('counts the runs of a day that had several', () => {
    const [first, ...rest] = days({});
    const strip = stripOf([{ ...first!, state: 'warning', runs: { success: 23, failed: 1 } }, ...rest], '2025-01-01');
    expect(strip.days[0]?.text).toBe('Fri 24 Oct: warning, 23 of 24 runs good');
  });

  it('sums itself up for those who do not see it', () => {
    const strip = stripOf(days({ '2025-11-20': 'failed', '2025-11-21': 'overdue' }), '2025-01-01');
    expect(strip.summary).toBe('28 days good, 1 day failed, 1 day overdue');
    expect(
      stripOf(
        days({}).map((day) => ({ ...day, state: 'idle' as const })),
        '2026-01-01',
      ).summary,
    ).toBe('no runs yet');
  });
});
