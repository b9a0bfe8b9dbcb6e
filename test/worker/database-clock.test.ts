import { afterEach, expect, it, jest } from '@jest/globals';
import { fromDatabaseTime } from '../../src/database/times.ts';
import { databaseClock } from '../../src/worker/database-clock.ts';
import { describeOnBoth } from '../database/both.ts';

afterEach(() => {
  jest.restoreAllMocks();
});

describeOnBoth('the clock that points are dated by', (current) => {
  it('is the database’s, and goes on, however wrong the worker’s own is', async () => {
    const { database } = current();
    jest.spyOn(Date, 'now').mockReturnValue(Date.parse('2001-02-03T04:05:06Z'));
    const before = fromDatabaseTime(await database.readClock());
    const clock = await databaseClock(database);
    const first = clock();
    expect(first).toBeGreaterThanOrEqual(before);
    const after = fromDatabaseTime(await database.readClock());
    // Read before it was asked for the time, so it is late by what the question took, at most.
    expect(clock()).toBeGreaterThanOrEqual(after - 1);
    expect(first - after).toBeLessThan(60_000);
  });
});
