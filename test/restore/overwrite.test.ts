import { describe, expect, it } from '@jest/globals';
import { decide } from '../../src/restore/overwrite.ts';
import type { Existing } from '../../src/restore/port.ts';
import { entryOf } from '../layout/samples.ts';

const VERSION = Date.parse('2020-01-02T03:04:05Z');
const BEGUN = Date.parse('2026-05-04T00:00:00Z');

describe('a restore that goes on where no checksums are told', () => {
  const entry = { ...entryOf('a'), size: 5, hash: null };
  const decided = async (modified: number | null, change: Partial<Existing> = {}): Promise<string> =>
    await decide(
      entry,
      { size: 5, hash: null, modified, ...change },
      { overwrite: 'never', continuing: true, begunAt: BEGUN, versionTime: () => Promise.resolve(VERSION) },
    );

  it('takes what its first attempt brought for done: by the date of the file, or because it came since', async () => {
    expect(await decided(VERSION)).toBe('done');
    expect(await decided(VERSION + 400)).toBe('done');
    expect(await decided(BEGUN + 1_000)).toBe('done');
    expect(await decided(null)).toBe('done');
  });

  it('claims no file that was there before it, although it has the same size', async () => {
    expect(await decided(BEGUN - 86_400_000)).toBe('FILE_EXISTS');
    expect(await decided(VERSION, { size: 6 })).toBe('FILE_EXISTS');
  });
});
