import { retainDue } from '../src/clock.ts';
import { runCron } from '../src/cron.ts';

await runCron({
  name: 's3cloudbackup_retention',
  summary: 'Queues maintenance: old restore points, left-overs, and the data of deleted jobs whose grace is over.',
  notes: `For the crontab, once a minute, on one machine or on several. Workers carry the maintenance out; nothing is deleted from here.
Retentions that keep less come into force when their cool-off is over.
The exit code is 1 when a job could not be looked after; it stays due.`,
  work: retainDue,
});
