import type { Database } from '../database/connect.ts';
import { fromDatabaseTime } from '../database/times.ts';

/**
 * The database's clock, read once and carried on by this process: epoch milliseconds. Points are dated by it, because retention judges their age
 * by it too: a worker whose own clock is months behind must not make points that are old enough to go.
 */
export async function databaseClock(database: Database): Promise<() => number> {
  const askedAt = performance.now();
  const readAt = fromDatabaseTime(await database.readClock());
  return () => Math.round(readAt + performance.now() - askedAt);
}
