import { expect, it } from '@jest/globals';
import { freezeRetention } from '../../src/database/commit.ts';
import { recordEvents } from '../../src/database/events.ts';
import {
  claimNotices,
  dueNotices,
  enqueueNotice,
  enqueueRunNotice,
  MAX_SEND_ATTEMPTS,
  noticesOfRun,
} from '../../src/database/outbox.ts';
import { markDrillOverdue } from '../../src/database/proofs.ts';
import { pruneNotices } from '../../src/database/prune.ts';
import { toDatabaseTime } from '../../src/database/times.ts';
import { catalogue } from '../../src/errors/catalogue.ts';
import { event } from '../../src/events/catalogue.ts';
import { sendNotices, type NotifyReport } from '../../src/notify/send.ts';
import { describeOnBoth } from '../database/both.ts';
import { expectUsesIndex } from '../database/explain.ts';
import { insertJob, insertRun } from '../database/rows.ts';
import { endedRun, post, settings, statuses, type Post } from './post.ts';

describeOnBoth('notices', (current) => {
  const send = async (to: Post): Promise<NotifyReport> =>
    await sendNotices({ database: current().database, host: to.host });

  it('of a failed run become one mail with everything that a template may name', async () => {
    const { database } = current();
    const run = await endedRun(
      database,
      'failed',
      { name: 'Photos <b>', source_display_name: 'NAS', dest_prefix: 'e3/', timezone: 'UTC' },
      {
        error_code: 'ERR_S3_AUTH',
        started_at: '2026-05-04 02:00:00.000',
        finished_at: '2026-05-04 03:02:03.000',
        bytes_transferred: 1_572_864,
        bytes_total: 3_145_728,
        objects_transferred: 10,
        objects_total: 20,
        progress_pct: 50,
      },
    );
    await recordEvents(database, run.runId, [
      { ...event('BACKUP_QUEUED'), ts: Date.UTC(2026, 4, 4, 2) },
      event('PROGRESS_UPDATE', {
        files_done: 1,
        files_total: 2,
        pct: 1,
        bytes_done: 1,
        bytes_total: 2,
        speed_bps: 1,
        eta_seconds: null,
      }),
      { ...event('FILE_CARRIED', { path: '<i>.txt', reason: 'FILE_VANISHED' }), ts: Date.UTC(2026, 4, 4, 3) },
    ]);
    const to = post();
    expect(await send(to)).toEqual({ sent: 1, suppressed: 0, failed: 0 });
    expect(await send(to)).toEqual({ sent: 0, suppressed: 0, failed: 0 });
    expect(to.mails).toHaveLength(1);
    const [mail] = to.mails;
    expect(mail).toMatchObject({ templateId: '12', clientId: 1, recipients: ['owner-1@example.test'] });
    expect(mail?.mergeVars).toMatchObject({
      job_name: 'Photos <b>',
      job_id: run.jobUuid,
      run_id: run.runUuid,
      run_status: 'Failed',
      source_display_name: 'NAS',
      source_type: 's3_compatible',
      dest_bucket_id: '1',
      dest_bucket_name: 'backup',
      dest_prefix: 'e3/',
      started_at: 'May 4, 2026, 02:00 UTC',
      finished_at: 'May 4, 2026, 03:02 UTC',
      duration: '1h 2m 3s',
      bytes_transferred: '1572864',
      bytes_transferred_formatted: '1.50 MiB',
      bytes_total: '3145728',
      bytes_total_formatted: '3.00 MiB',
      files_transferred: '10',
      files_total: '20',
      progress_pct: '50.00%',
      client_id: '1',
      client_name: 'Ada Lovelace',
      client_email: 'owner-1@example.test',
      job_log_report:
        'INFO[May 4, 2026, 02:00 UTC] Backup queued.\n' +
        'WARN[May 4, 2026, 03:00 UTC] <i>.txt: it vanished after it was listed — its last version is kept.',
    });
    expect(mail?.mergeVars['error_summary']).toMatch(/^The S3 server refused/);
    expect(mail?.mergeVars['job_log_report_html']).toContain('Backup queued.<br>\nWARN');
    expect(mail?.mergeVars['job_log_report_html']).toContain('&lt;i&gt;.txt');
    const row = (await database.knex('s3_cloudbackup_runs').where('id', run.runId).first()) as { notified_at: unknown };
    expect(row.notified_at).not.toBeNull();
    expect(await noticesOfRun(database, 1, run.runId)).toMatchObject([{ status: 'sent', attempts: 1 }]);
    expect(await noticesOfRun(database, 2, run.runId)).toEqual([]);
  });

  it('go to whom the job names, else the client’s settings, else the client', async () => {
    const { database } = current();
    await settings(database, 2, { default_notify_emails: 'ops@example.test; OPS@example.test, not an address' });
    await endedRun(database, 'failed', { client_id: 2 });
    await endedRun(database, 'failed', { client_id: 2, notify_override_email: '["me@example.test"]' });
    await endedRun(database, 'failed', { client_id: 3, notify_override_email: 'nonsense' });
    const to = post();
    await send(to);
    expect(to.mails.map((mail) => mail.recipients)).toEqual([
      ['ops@example.test'],
      ['me@example.test'],
      ['owner-3@example.test'],
    ]);
  });

  it('that nobody wants are suppressed, and their row says why', async () => {
    const { database } = current();
    await settings(database, 2, { default_notify_on_warning: 0, default_notify_on_success: 1 });
    await endedRun(database, 'success');
    await endedRun(database, 'warning');
    await endedRun(database, 'warning', { client_id: 2 });
    await endedRun(database, 'partial_success', { client_id: 2, notify_on_warning: 1 });
    await endedRun(database, 'success', { client_id: 2 });
    await endedRun(database, 'failed', { client_id: 2, notify_on_failure: 0 });
    await endedRun(database, 'cancelled');
    await endedRun(database, 'failed', { client_id: 99 });
    const to = post();
    expect(await send(to)).toEqual({ sent: 3, suppressed: 5, failed: 0 });
    expect(to.mails.map((mail) => mail.mergeVars['run_status'])).toEqual(['Warning', 'Partial success', 'Success']);
    const rows = (await database.knex('s3_cloudbackup_outbox').where('status', 'suppressed')) as {
      last_error: string;
    }[];
    expect(rows.map((row) => row.last_error)).toContain('Mails about "success" are switched off for this job.');
    expect(rows.map((row) => row.last_error)).toContain('The client does not exist any more.');
  });

  it('are suppressed without a template, and cancelled runs are told when the operator wants it', async () => {
    const { database } = current();
    await endedRun(database, 'failed');
    expect(await send(post({}))).toEqual({ sent: 0, suppressed: 1, failed: 0 });
    await endedRun(database, 'cancelled');
    const to = post({ cloudbackup_email_template: '1', cloudbackup_notify_on_cancelled: 'on' });
    expect(await send(to)).toMatchObject({ sent: 1 });
    expect(to.mails[0]?.mergeVars['run_status']).toBe('Cancelled');
  });

  it('are written once for each fact, and never for restores and maintenance', async () => {
    const { database } = current();
    const job = await insertJob(database);
    const run = await insertRun(database, job, { status: 'failed' });
    const ended = { id: run.id, uuid: run.uuid, jobId: job.id, clientId: 1, status: 'failed' as const };
    const write = async (kind: 'backup' | 'restore' | 'maintenance') =>
      await database.transaction(async (trx) => await enqueueRunNotice(trx, database, { ...ended, kind }));
    expect([await write('backup'), await write('backup'), await write('restore'), await write('maintenance')]).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect(await statuses(database)).toEqual(['pending']);
  });

  it('of retention that stopped say why and what to do, once, and not when it was released before', async () => {
    const { database } = current();
    const freeze = async (columns: Record<string, unknown> = {}): Promise<{ jobId: number; runUuid: string }> => {
      const job = await insertJob(database, { name: 'Photos', ...columns });
      const run = await insertRun(database, job, { status: 'success' });
      const write = async () =>
        await database.transaction(async (trx) => await freezeRetention(database, trx, job.id, 'brake', run.uuid));
      await write();
      await write();
      return { jobId: job.id, runUuid: run.uuid };
    };
    const { runUuid } = await freeze();
    const released = await freeze();
    await freeze({ notify_on_warning: 0 });
    await database
      .knex('s3_cloudbackup_jobs')
      .where('id', released.jobId)
      .update({ frozen_at: null, frozen_reason: null, frozen_run_uuid: null });
    const to = post();
    expect(await send(to)).toEqual({ sent: 1, suppressed: 2, failed: 0 });
    expect(to.mails[0]?.mergeVars).toMatchObject({
      job_name: 'Photos',
      run_id: runUuid,
      run_status: 'Old restore points are kept until you have looked',
    });
    expect(to.mails[0]?.mergeVars['error_summary']).toMatch(/^A run found an unusual share.*no old restore point/);
  });

  it('of a failed restore test say that it was one', async () => {
    const { database } = current();
    const job = await insertJob(database);
    const run = await insertRun(database, job, { kind: 'drill', status: 'failed', error_code: 'ERR_DRILL_FAILED' });
    await database.transaction(
      async (trx) =>
        await enqueueRunNotice(trx, database, {
          ...{ id: run.id, uuid: run.uuid, jobId: job.id, clientId: 1, kind: 'drill', status: 'failed' },
        }),
    );
    const to = post();
    expect(await send(to)).toMatchObject({ sent: 1 });
    expect(to.mails[0]?.mergeVars).toMatchObject({ run_kind: 'Restore test', run_status: 'Restore test failed' });
    expect(to.mails[0]?.mergeVars['error_summary']).toContain(catalogue.ERR_DRILL_FAILED.what);
  });

  it('of a restore test that nobody carries out come while it is overdue', async () => {
    const { database } = current();
    const since = Date.UTC(2026, 4, 4, 2);
    const job = await insertJob(database, { timezone: 'UTC' });
    const overdue = { since, told: false, now: Date.now() };
    const mark = async () =>
      await database.transaction(async (trx) => await markDrillOverdue(trx, database, job, overdue));
    expect([await mark(), await mark()]).toEqual([since, since]);
    const good = await insertJob(database);
    await database.transaction(async (trx) => await markDrillOverdue(trx, database, good, overdue));
    await database.knex('s3_cloudbackup_jobs').where('id', good.id).update({ drill_overdue_since: null });
    const to = post();
    expect(await send(to)).toEqual({ sent: 1, suppressed: 1, failed: 0 });
    expect(to.mails[0]?.mergeVars).toMatchObject({
      run_status: 'Restore test overdue',
      overdue_since: 'May 4, 2026, 02:00 UTC',
    });
    expect(to.mails[0]?.mergeVars['error_summary']).toContain('since May 4, 2026, 02:00 UTC');
  });

  it('of backups that go with their service name the date, whatever is switched off, and do not come once it is back', async () => {
    const { database } = current();
    const since = Date.UTC(2026, 4, 4, 2);
    const end = async (state: Record<string, unknown>): Promise<void> => {
      const job = await insertJob(database, {
        ...{ name: 'Photos', timezone: 'UTC', notify_on_failure: 0, notify_on_warning: 0 },
        data_ending_since: toDatabaseTime(since),
        data_delete_at: '2026-06-03 02:00:00.000',
        ...state,
      });
      await database.transaction(
        async (trx) =>
          await enqueueNotice(trx, database, {
            ...{ dedupeKey: `ending:${job.uuid}`, kind: 'ending', clientId: 1, jobId: job.id, payload: { since } },
          }),
      );
    };
    await end({});
    await end({ data_ending_since: null, data_delete_at: null });
    const to = post();
    expect(await send(to)).toEqual({ sent: 1, suppressed: 1, failed: 0 });
    expect(to.mails[0]?.mergeVars).toMatchObject({
      job_name: 'Photos',
      run_status: 'The service has ended: backups will be deleted',
    });
    expect(to.mails[0]?.mergeVars['error_summary']).toContain('They stay until Jun 3, 2026, 02:00 UTC');
  });

  it('that the mail server refuses are tried again later, without its secrets in the row, and given up at last', async () => {
    const { database } = current();
    await endedRun(database, 'failed');
    const refused = post(
      undefined,
      Array.from({ length: 20 }, () => 'smtp://user:hunter2@10.0.0.1 said 451'),
    );
    expect(await send(refused)).toEqual({ sent: 0, suppressed: 0, failed: 1 });
    expect(await send(refused)).toEqual({ sent: 0, suppressed: 0, failed: 0 });
    const read = async () =>
      (await database.knex('s3_cloudbackup_outbox').first()) as {
        status: string;
        last_error: string;
        attempts: number;
      };
    expect(await read()).toMatchObject({ status: 'pending', attempts: 1 });
    expect((await read()).last_error).not.toMatch(/hunter2|10\.0\.0\.1/);
    for (let attempt = 2; attempt <= MAX_SEND_ATTEMPTS; attempt += 1) {
      await database.knex('s3_cloudbackup_outbox').update({ not_before: toDatabaseTime(0) });
      expect(await send(refused)).toMatchObject({ failed: 1 });
    }
    expect(await read()).toMatchObject({ status: 'failed', attempts: MAX_SEND_ATTEMPTS });
    await database.knex('s3_cloudbackup_outbox').update({ not_before: toDatabaseTime(0) });
    expect(await send(refused)).toEqual({ sent: 0, suppressed: 0, failed: 0 });
  });

  it('of a sender that died come back when its lease is over', async () => {
    const { database } = current();
    await endedRun(database, 'failed');
    expect(await claimNotices(database, { limit: 5, leaseMs: 60_000 })).toHaveLength(1);
    expect(await send(post())).toEqual({ sent: 0, suppressed: 0, failed: 0 });
    await database.knex('s3_cloudbackup_outbox').update({ not_before: toDatabaseTime(0) });
    expect(await send(post())).toMatchObject({ sent: 1 });
  });

  it('are not ended by a sender whose lease went to another', async () => {
    const { database } = current();
    await endedRun(database, 'failed');
    const slow = post();
    const fast = post();
    const overtaken: Post['host'] = {
      ...slow.host,
      sendEmail: async (mail) => {
        // While the mail is being handed over, the lease runs out and somebody else sends.
        await database.knex('s3_cloudbackup_outbox').update({ not_before: toDatabaseTime(0) });
        await sendNotices({ database, host: fast.host });
        await slow.host.sendEmail(mail);
      },
    };
    await sendNotices({ database, host: overtaken });
    expect(fast.mails).toHaveLength(1);
    expect(await statuses(database)).toEqual(['sent']);
  });

  it('that are settled are pruned by age, others stay', async () => {
    const { database } = current();
    await endedRun(database, 'failed');
    await endedRun(database, 'success');
    await send(post());
    await endedRun(database, 'failed');
    await database.knex('s3_cloudbackup_outbox').update({ created_at: toDatabaseTime(1_000) });
    await endedRun(database, 'failed');
    await send(post());
    await database.knex('s3_cloudbackup_outbox').where('id', 3).update({ status: 'pending' });
    expect(await pruneNotices(database, { before: 2_000, batch: 2 })).toBeGreaterThanOrEqual(2);
    expect(await pruneNotices(database, { before: 2_000, batch: 2 })).toBe(0);
  });

  it('in the queue are found by an index', async () => {
    const test = current();
    const { database } = test;
    const now = toDatabaseTime(Date.now());
    await database.knex.batchInsert(
      's3_cloudbackup_outbox',
      Array.from({ length: 5_000 }, (_, index) => ({
        uuid: `uuid-${index}`,
        dedupe_key: `key-${index}`,
        kind: 'run',
        client_id: 1,
        status: index % 100 === 0 ? 'pending' : 'sent',
        not_before: now,
        created_at: now,
      })),
      200,
    );
    await expectUsesIndex(test, dueNotices(database).limit(20).select('id'));
    await expectUsesIndex(test, database.knex('s3_cloudbackup_outbox').where('dedupe_key', 'key-7').select('id'));
  });
});

describeOnBoth('a notice of another client’s job', (current) => {
  it('is never filled with that job', async () => {
    const { database } = current();
    const job = await insertJob(database, { client_id: 1 });
    await database.transaction(
      async (trx) =>
        await enqueueNotice(trx, database, {
          dedupeKey: 'x',
          kind: 'run',
          clientId: 2,
          jobId: job.id,
          payload: { status: 'failed' },
        }),
    );
    const to = post();
    expect(await sendNotices({ database, host: to.host })).toEqual({ sent: 0, suppressed: 1, failed: 0 });
  });
});
