import { describe, expect, it } from '@jest/globals';
import { MAX_SEND_ATTEMPTS, sendRetryDelayMs } from '../../src/database/outbox.ts';
import { parseAddresses, recipientsOf } from '../../src/notify/recipients.ts';
import { isWanted } from '../../src/notify/wishes.ts';

describe('addresses', () => {
  it('are read from JSON and from lists with any separator, each once, only valid ones', () => {
    expect(parseAddresses('["a@x.test", "b@x.test", 7, "A@X.test"]')).toEqual(['a@x.test', 'b@x.test']);
    expect(parseAddresses('a@x.test,b@x.test; c@x.test\nd@x.test')).toEqual([
      'a@x.test',
      'b@x.test',
      'c@x.test',
      'd@x.test',
    ]);
    expect(parseAddresses('[a@x.test')).toEqual([]);
    expect(parseAddresses('x\r\nBcc: evil@x.test')).toEqual(['evil@x.test']);
    expect(parseAddresses(null)).toEqual([]);
    expect(recipientsOf({ job: '', client: '[]', clientEmail: 'me@x.test' })).toEqual(['me@x.test']);
    expect(recipientsOf({ job: '', client: '', clientEmail: '' })).toEqual([]);
  });
});

describe('wishes', () => {
  const none = { onSuccess: null, onWarning: null, onFailure: null };
  const operator = { tellCancelled: false };

  it('of the job win over those of its client, and those over the defaults', () => {
    expect(isWanted('success', none, null, operator)).toBe(false);
    expect(isWanted('warning', none, null, operator)).toBe(true);
    expect(isWanted('partial_success', none, null, operator)).toBe(true);
    expect(isWanted('failed', none, null, operator)).toBe(true);
    expect(isWanted('overdue', none, null, operator)).toBe(true);
    expect(isWanted('cancelled', none, null, operator)).toBe(false);
    const client = { onSuccess: true, onWarning: false, onFailure: false };
    expect(isWanted('success', none, client, operator)).toBe(true);
    expect(isWanted('overdue', none, client, operator)).toBe(false);
    expect(isWanted('failed', { ...none, onFailure: true }, client, operator)).toBe(true);
    expect(isWanted('success', { ...none, onSuccess: false }, client, operator)).toBe(false);
    expect(isWanted('cancelled', none, null, { tellCancelled: true })).toBe(true);
  });
});

describe('the delay of a mail that was refused', () => {
  it('doubles from a minute to six hours', () => {
    const delays = Array.from({ length: MAX_SEND_ATTEMPTS }, (_, index) => sendRetryDelayMs(index + 1, () => 0.5));
    expect(delays.slice(0, 3)).toEqual([60_000, 120_000, 240_000]);
    expect(Math.max(...delays)).toBe(6 * 3_600_000);
  });
});
