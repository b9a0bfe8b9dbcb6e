import { openDatabase, type DatabaseSettings } from '../../src/database/connect.ts';
import { runSchedulerOnce } from '../../src/runs/scheduler.ts';

/**
 * One scheduler that works on a clock that runs faster than ours, until that clock has reached its end: `settings startMs endMs speed
 * beganAt`. It also ends queued runs now and then, as a worker would.
 */
const [settings, ...numbers] = process.argv.slice(2) as [string, ...string[]];
const [start = 0, end = 0, speed = 1, beganAt = 0] = numbers.map(Number);
const database = openDatabase(JSON.parse(settings) as DatabaseSettings);
const clock = (): number => start + (Date.now() - beganAt) * speed;
for (;;) {
  const now = Math.min(clock(), end);
  const report = await runSchedulerOnce({
    database,
    records: { serviceState: () => Promise.resolve('active'), timezone: () => Promise.resolve(null) },
    clock: () => now,
    batch: 7,
  });
  if (report.failed > 0) process.exitCode = 1;
  // A transaction of ours: the other schedulers may make the database ask for a repetition.
  await database.transaction(
    async (trx) =>
      await trx('s3_cloudbackup_runs').where('status', 'queued').update({ status: 'success', active_key: null }),
  );
  if (now >= end) break;
}
await database.close();
