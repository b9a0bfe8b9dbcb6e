import { notifyDue } from '../src/clock.ts';
import { runCron } from '../src/cron.ts';

await runCron({
  name: 's3cloudbackup_notify',
  summary: 'Finds backups that did not come, and sends the mails that wait.',
  notes: `For the crontab, once a minute, on one machine or on several: no mail goes out twice.
Mails go through SMTP_URL (smtp://user:password@host:587), from SMTP_FROM where the template names no sender.
The exit code is 1 when a mail was not taken; it is tried again.`,
  work: notifyDue,
});
