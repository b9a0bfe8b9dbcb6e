import { expect, it } from '@jest/globals';
import {
  appendEvents,
  eventsQuery,
  lastEvents,
  lastEventsQuery,
  listEvents,
  listRunEvents,
  recordEvents,
  type NewEvent,
} from '../../src/database/events.ts';
import { oldestRows, pruneEvents } from '../../src/database/prune.ts';
import { event } from '../../src/events/catalogue.ts';
import { describeOnBoth } from './both.ts';
import { expectUsesIndex } from './explain.ts';
import { insertJob, insertRun } from './rows.ts';

const scanning = event('SCANNING_SOURCE');

describeOnBoth('events', (current) => {
  const newRun = async (): Promise<{ id: number; uuid: string }> =>
    await insertRun(current().database, await insertJob(current().database));

  it('get consecutive numbers a run and come back in order with their parameters', async () => {
    const { database } = current();
    const [one, other] = [await newRun(), await newRun()];
    await recordEvents(database, one.id, [event('BACKUP_QUEUED'), scanning]);
    await recordEvents(database, other.id, [scanning]);
    await recordEvents(database, one.id, [event('LISTED', { files: 3, bytes: 10, complete: true })]);
    const events = await listEvents(database, 1, one.uuid);
    expect(events.map((row) => [row.id, row.messageId])).toEqual([
      [1, 'BACKUP_QUEUED'],
      [2, 'SCANNING_SOURCE'],
      [3, 'LISTED'],
    ]);
    expect(events[2]).toMatchObject({ type: 'info', level: 'info', params: { files: 3, bytes: 10, complete: true } });
    expect(Math.abs((events[0]?.ts ?? 0) - Date.now())).toBeLessThan(60_000);
    expect((await listEvents(database, 1, one.uuid, { since: 1, limit: 1 })).map((row) => row.id)).toEqual([2]);
    expect(await listRunEvents(database, other.id)).toHaveLength(1);
  });

  it('of another client’s run are as absent as those of no run', async () => {
    const { database } = current();
    const run = await newRun();
    await expect(listEvents(database, 2, run.uuid)).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(listEvents(database, 1, 'no-such-run')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(recordEvents(database, 999_999, [scanning])).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  });

  it('vanish with the transaction that was rolled back, and leave no number behind', async () => {
    const { database } = current();
    const run = await newRun();
    await expect(
      database.transaction(async (trx) => {
        await appendEvents(trx, database, run.id, [scanning]);
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    await recordEvents(database, run.id, [scanning]);
    expect((await listRunEvents(database, run.id)).map((row) => row.id)).toEqual([1]);
  });

  it('of several writers at once all get their own number', async () => {
    const { database } = current();
    const run = await newRun();
    await Promise.all(
      Array.from({ length: 12 }, async () => await recordEvents(database, run.id, [scanning, scanning, scanning])),
    );
    const ids = (await listRunEvents(database, run.id)).map((row) => row.id);
    expect(ids).toEqual(Array.from({ length: 36 }, (_, index) => index + 1));
  });

  it('are capped a run: one marker where the gap begins, errors and the end are kept', async () => {
    const { database } = current();
    const run = await newRun();
    const batch = Array.from({ length: 7 }, () => scanning);
    for (let round = 0; round < 10; round += 1) await recordEvents(database, run.id, batch, { max: 50 });
    await recordEvents(database, run.id, [event('FILE_FAILED', { path: 'a', code: 'ERR_PERMISSION' })], { max: 50 });
    await recordEvents(database, run.id, [scanning, event('COMPLETED_WARNING')], { max: 50 });
    const ids = (await listRunEvents(database, run.id)).map((row) => row.messageId);
    expect(ids.filter((id) => id === 'SCANNING_SOURCE')).toHaveLength(45);
    expect(ids.slice(45)).toEqual(['EVENTS_TRUNCATED', 'FILE_FAILED', 'COMPLETED_WARNING']);
  });

  it('over the cap by exactly one event get exactly one marker', async () => {
    const { database } = current();
    const run = await newRun();
    for (let round = 0; round < 11; round += 1) await recordEvents(database, run.id, [scanning], { max: 10 });
    const ids = (await listRunEvents(database, run.id)).map((row) => row.messageId);
    expect(ids.filter((id) => id === 'EVENTS_TRUNCATED')).toHaveLength(1);
    expect(ids.filter((id) => id === 'SCANNING_SOURCE')).toHaveLength(9);
  });

  it('of error level cannot fill the table either, and the end still has its place', async () => {
    const { database } = current();
    const run = await newRun();
    const failed = event('FILE_FAILED', { path: 'a', code: 'ERR_PERMISSION' });
    await recordEvents(
      database,
      run.id,
      Array.from({ length: 600 }, () => failed),
      { max: 100 },
    );
    await recordEvents(database, run.id, [event('COMPLETED_FAILED', { code: 'ERR_TRANSFER' })], { max: 100 });
    const rows = await listRunEvents(database, run.id, { limit: 1_000 });
    expect(rows).toHaveLength(102);
    expect(rows.at(-1)).toMatchObject({ messageId: 'COMPLETED_FAILED', code: 'ERR_TRANSFER' });
  });

  it('that end a run are kept by a writer who knows of a lower cap than the others', async () => {
    const { database } = current();
    const run = await newRun();
    await recordEvents(
      database,
      run.id,
      Array.from({ length: 80 }, () => scanning),
      { max: 1_000 },
    );
    await recordEvents(database, run.id, [scanning, event('COMPLETED_SUCCESS')], { max: 20 });
    const rows = await listRunEvents(database, run.id, { limit: 1_000 });
    expect(rows.map((row) => row.messageId).slice(79)).toEqual([
      'SCANNING_SOURCE',
      'SCANNING_SOURCE',
      'COMPLETED_SUCCESS',
    ]);
    for (let round = 0; round < 3; round += 1) {
      await recordEvents(
        database,
        run.id,
        Array.from({ length: 60 }, () => scanning),
        { max: 100 },
      );
    }
    await recordEvents(database, run.id, [event('COMPLETED_SUCCESS')], { max: 20 });
    expect((await listRunEvents(database, run.id, { limit: 1_000 })).at(-1)?.messageId).toBe('COMPLETED_SUCCESS');
  });

  it('that an agent pushes again are inserted once, whole batches and overlapping ones', async () => {
    const { database } = current();
    const run = await newRun();
    const pushed = (from: number, to: number, producer = 'agent:1:epoch'): NewEvent[] =>
      Array.from({ length: to - from + 1 }, (_, index) => ({ ...scanning, producer, producerSeq: from + index }));
    expect(await recordEvents(database, run.id, pushed(1, 5))).toEqual({ inserted: 5, dropped: 0, repeated: 0 });
    expect(await recordEvents(database, run.id, pushed(1, 5))).toEqual({ inserted: 0, dropped: 0, repeated: 5 });
    await Promise.all([
      recordEvents(database, run.id, pushed(4, 8)),
      recordEvents(database, run.id, pushed(4, 8)),
      recordEvents(database, run.id, [...pushed(7, 9), ...pushed(7, 9)]),
    ]);
    await recordEvents(database, run.id, pushed(1, 2, 'agent:2:epoch'));
    expect((await listRunEvents(database, run.id)).map((row) => row.id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  it('with odd content neither fail nor keep secrets', async () => {
    const { database } = current();
    const run = await newRun();
    await recordEvents(database, run.id, [
      { ...scanning, type: 'x'.repeat(99) as 'info', level: 'ünknown' as 'info', code: '', messageId: 'Ä'.repeat(300) },
      event('KOPIA_UPLOAD_FAILED', {
        error: 'denied: secret_access_key=hunter2hunter2 at http://10.0.0.5:9000/x?sig=1',
      }),
      event('FILE_CARRIED', { path: 'a\n\u{1F600}\u0000b', reason: 'FILE_VANISHED' }),
      { ...scanning, params: { message: 'x'.repeat(100_000), n: 1n, list: 'y'.repeat(70_000).split('') } },
    ]);
    const rows = await listRunEvents(database, run.id);
    expect(rows).toHaveLength(4);
    expect(JSON.stringify(rows)).not.toMatch(/hunter2|10\.0\.0\.5|sig=1/);
    expect(rows[2]?.params).toEqual({ path: 'a\n\u{1F600}\u0000b', reason: 'FILE_VANISHED' });
  });

  it('of 1,200 in one batch all arrive', async () => {
    const { database } = current();
    const run = await newRun();
    await recordEvents(
      database,
      run.id,
      Array.from({ length: 1_200 }, () => scanning),
    );
    expect((await lastEvents(database, run.id, 500)).map((row) => row.id)).toEqual(
      Array.from({ length: 500 }, (_, index) => 701 + index),
    );
  });

  it('are pruned by age in batches', async () => {
    const { database } = current();
    const run = await newRun();
    await recordEvents(
      database,
      run.id,
      Array.from({ length: 25 }, (_, index) => ({ ...scanning, ts: 1_700_000_000_000 + index })),
    );
    await recordEvents(database, run.id, [scanning]);
    expect(await pruneEvents(database, { before: 1_700_000_000_020, batch: 7 })).toBe(20);
    expect((await listRunEvents(database, run.id)).map((row) => row.id)).toEqual([21, 22, 23, 24, 25, 26]);
  });
});

describeOnBoth(
  'events queries',
  (current) => {
    it('use an index', async () => {
      const test = current();
      const { database } = test;
      const job = await insertJob(database);
      for (let run = 0; run < 10; run += 1) {
        const { id } = await insertRun(database, job, { status: 'success' });
        await recordEvents(
          database,
          id,
          Array.from({ length: 400 }, (_, index) => ({ ...scanning, ts: 1_700_000_000_000 + run * 1_000 + index })),
        );
      }
      await expectUsesIndex(test, eventsQuery(database, 3, { since: 100 }));
      await expectUsesIndex(test, lastEventsQuery(database, 3, 100));
      await expectUsesIndex(
        test,
        oldestRows(database, 's3_cloudbackup_run_events', 'ts', 1_700_000_000_050).limit(100).select('id'),
      );
      await expect(
        expectUsesIndex(test, database.knex('s3_cloudbackup_run_events').where('code', 'x').select('id')),
      ).rejects.toThrow('scans');
    });
  },
  { keepRows: true },
);
