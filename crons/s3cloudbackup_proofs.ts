import { proveDue } from '../src/clock.ts';
import { runCron } from '../src/cron.ts';

await runCron({
  name: 's3cloudbackup_proofs',
  summary: 'Queues the validations and restore tests whose time has come.',
  notes: `For the crontab, every five minutes, on one machine or on several: each date gets one run whoever comes first.
The exit code is 1 when a job could not be looked after; it stays due.`,
  work: proveDue,
});
