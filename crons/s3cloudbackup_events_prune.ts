import { pruneOld } from '../src/clock.ts';
import { runCron } from '../src/cron.ts';

await runCron({
  name: 's3cloudbackup_events_prune',
  summary: 'Deletes events, logs and settled mails that are older than the module settings allow.',
  notes: 'For the crontab, once a day.',
  work: pruneOld,
});
