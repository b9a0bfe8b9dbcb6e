// Slow: each cron is started as a process of its own.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startClock } from '../../src/clock.ts';
import { recordEvents } from '../../src/database/events.ts';
import { toDatabaseTime } from '../../src/database/times.ts';
import { event } from '../../src/events/catalogue.ts';
import { billingTables } from '../../src/host/billing-tables.ts';
import { describeOnBoth, type TestDatabase } from '../database/both.ts';
import { insertJob, insertRun } from '../database/rows.ts';
import { installBillingWorld } from '../host/billing-world.ts';
import { startSmtpSink, type SmtpSink } from '../servers/smtp-sink.ts';

const HOUR = 3_600_000;

let mail: SmtpSink;
beforeAll(async () => {
  mail = await startSmtpSink();
});
afterAll(async () => await mail.stop());

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a cron as the crontab does: its launcher, configured by the environment. */
async function cron(name: string, test: TestDatabase, ...args: string[]): Promise<Ended> {
  const script = fileURLToPath(new URL(`../../crons/s3cloudbackup_${name}.js`, import.meta.url));
  const { settings } = test;
  const database: Record<string, string> =
    settings.driver === 'sqlite'
      ? { CLOUD_BACKUP_DATABASE_DRIVER: 'sqlite', CLOUD_BACKUP_DATABASE_FILENAME: settings.filename }
      : {
          CLOUD_BACKUP_DATABASE_HOST: settings.host ?? '',
          CLOUD_BACKUP_DATABASE_PORT: String(settings.port),
          CLOUD_BACKUP_DATABASE_DATABASE: settings.database,
          CLOUD_BACKUP_DATABASE_USERNAME: settings.username,
          CLOUD_BACKUP_DATABASE_PASSWORD: settings.password,
        };
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    ...database,
    SMTP_URL: mail.url,
    SMTP_FROM: 'backup@host.test',
  };
  return await new Promise((resolve) => {
    execFile(process.execPath, [script, ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

describeOnBoth('the crons', (current) => {
  let clientId = 0;
  const suspended = async (): Promise<number> => {
    const row = (await current().database.knex('tblclients').where('email', 'grace@example.test').first()) as {
      id: number;
    };
    return Number(row.id);
  };

  beforeAll(async () => {
    const { knex } = current().database;
    const world = await installBillingWorld(knex);
    clientId = world.clientId('ada');
    const [template] = (await knex('tblemailtemplates').insert({
      type: 'general',
      name: 'Backup report',
      subject: '{$job_name}: {$run_status}',
      message: 'Dear {$client_name}, {$error_summary}',
      plaintext: 1,
    })) as number[];
    await knex('tbladdonmodules')
      .where('setting', 'cloudbackup_email_template')
      .update({ value: String(template) });
  }, 60_000);

  it('queue a due run, tell of a backup that did not come, and delete what is old', async () => {
    const test = current();
    const { database } = test;
    const hourly = { schedule_type: 'hourly', schedule_json: '{"minute":0}', timezone: 'UTC' };
    const due = toDatabaseTime(Date.now() - HOUR);
    const job = await insertJob(database, { ...hourly, client_id: clientId, next_run_at: due, name: 'Photos' });
    const other = await insertJob(database, { ...hourly, client_id: await suspended(), next_run_at: due });
    expect(await cron('scheduler', test, '--verbose')).toMatchObject({ code: 0, stderr: '' });
    const runs = (await database.knex('s3_cloudbackup_runs').orderBy('job_id')) as { id: number; status: string }[];
    expect(runs).toMatchObject([
      { job_id: job.id, status: 'queued' },
      { job_id: other.id, status: 'cancelled', error_code: 'SERVICE_SUSPENDED' },
    ]);

    await database
      .knex('s3_cloudbackup_jobs')
      .where({ id: job.id })
      .update({ drill_every_days: 7, drill_next_at: due });
    await database.knex('s3_cloudbackup_jobs').where({ id: job.id }).update({ maintenance_at: due });
    const retention = await cron('retention', test, '--verbose');
    expect(JSON.parse(retention.stdout)).toEqual({
      ...{ queued: 0, applied: 0, dropped: 0, waiting: 1 },
      ...{ ending: 0, stays: 0, failed: 0 },
    });
    const proofs = await cron('proofs', test, '--verbose');
    expect(JSON.parse(proofs.stdout)).toEqual({ validations: 0, drills: 0, putOff: 1, overdue: 0, failed: 0 });

    await database.knex('s3_cloudbackup_jobs').where({ id: job.id }).update({ good_by: due });
    mail.answer = '451 later';
    const refused = await cron('notify', test);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('a mail was not sent');
    mail.answer = '250 ok';
    await database.knex('s3_cloudbackup_outbox').update({ not_before: toDatabaseTime(0) });
    mail.messages.length = 0;
    const sent = await cron('notify', test, '--verbose');
    expect(sent).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(sent.stdout)).toEqual({ begun: 0, met: 0, sent: 1, suppressed: 0, failed: 0 });
    expect(mail.messages).toHaveLength(1);
    expect(mail.messages[0]).toContain('Subject: Photos: Overdue');
    expect(mail.messages[0]).toContain('From: backup@host.test');
    expect(mail.messages[0]).toContain('To: ada@example.test');
    expect(mail.messages[0]).toContain('There is no restore point yet');

    const runId = runs[0]?.id ?? 0;
    const old = Date.now() - 61 * 24 * HOUR;
    await recordEvents(database, runId, [{ ...event('SCANNING_SOURCE'), ts: old }]);
    await database.knex('s3_cloudbackup_outbox').update({ created_at: toDatabaseTime(old) });
    await database
      .knex('s3_cloudbackup_run_files')
      .insert([...[runId, runs[1]?.id ?? 0].map((run) => ({ run_id: run, kind: 'failed', code: 'X', path: 'a' }))]);
    await database
      .knex('s3_cloudbackup_runs')
      .where('id', runId)
      .update({ created_at: toDatabaseTime(old) });
    const pruned = await cron('events_prune', test, '--verbose');
    expect(pruned).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(pruned.stdout)).toEqual({ events: 1, logs: 0, agentEvents: 0, notices: 1, runFiles: 1 });
  });

  it('say in one sentence what is wrong with their configuration', async () => {
    const test = current();
    const gone = { ...test, settings: { driver: 'sqlite' as const, filename: '/proc/none/x.sqlite' } };
    const ended = await cron('scheduler', gone);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/^s3cloudbackup_scheduler: .*\n$/);
    expect(ended.stderr).not.toMatch(/\n {4}at /);
  });

  it('also run inside of one process, from its start, until they are stopped', async () => {
    const { database } = current();
    const job = await insertJob(database, {
      client_id: clientId,
      schedule_type: 'daily',
      schedule_time: '02:00',
      next_run_at: toDatabaseTime(Date.now() - HOUR),
    });
    const failed = await insertRun(database, job, { status: 'failed', kind: 'restore' });
    await database.knex('s3_cloudbackup_outbox').insert({
      uuid: 'x',
      dedupe_key: 'x',
      kind: 'run',
      client_id: clientId,
      job_id: job.id,
      run_id: failed.id,
      payload_json: '{"status":"failed"}',
      not_before: toDatabaseTime(0),
      created_at: toDatabaseTime(0),
    });
    const mails: string[] = [];
    const host = billingTables({
      knex: database.knex,
      identify: () => ({ kind: 'nobody' }),
      sendEmail: ({ mergeVars }) => Promise.resolve(void mails.push(mergeVars['run_status'] ?? '')),
    });
    const clock = startClock({ database, host }, { scheduleSeconds: 1, notifySeconds: 1 });
    const queued = async (): Promise<number> =>
      (await database.knex('s3_cloudbackup_runs').where({ job_id: job.id, status: 'queued' })).length;
    while ((await queued()) === 0 || mails.length === 0) await delay(20);
    // A later tick does its work, too.
    await database
      .knex('s3_cloudbackup_runs')
      .where({ status: 'queued' })
      .update({ status: 'success', active_key: null });
    await database
      .knex('s3_cloudbackup_jobs')
      .where({ id: job.id })
      .update({ next_run_at: toDatabaseTime(Date.now() - 2 * 24 * HOUR) });
    while ((await queued()) === 0) await delay(20);
    await clock.stop();
    expect(mails).toEqual(['Restore failed']);
  });
});
