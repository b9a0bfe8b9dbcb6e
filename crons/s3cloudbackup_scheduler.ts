import { scheduleDue } from '../src/clock.ts';
import { runCron } from '../src/cron.ts';

await runCron({
  name: 's3cloudbackup_scheduler',
  summary: 'Queues the backup runs whose time has come.',
  notes: `For the crontab, once a minute, on one machine or on several: each slot gets one run whoever comes first.
The exit code is 1 when a job could not be looked after; it stays due.`,
  work: scheduleDue,
});
