import { expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Database } from '../../src/database/connect.ts';
import { toDatabaseTime } from '../../src/database/times.ts';
import { describeOnBoth, type TestDatabase } from '../database/both.ts';
import { endedRun, statuses } from './post.ts';

// Slow: it starts Node some twenty times.
describeOnBoth('notify processes', (current) => {
  const script = fileURLToPath(new URL('./notices.process.ts', import.meta.url));
  const start = (test: TestDatabase, ...more: string[]): ChildProcess =>
    spawn(process.execPath, [script, JSON.stringify(test.settings), ...more], {
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  const prepare = async (database: Database, runs: number): Promise<string[]> => {
    await database.knex.schema.dropTableIfExists('test_mails');
    await database.knex.schema.createTable('test_mails', (table) => {
      table.increments('id');
      table.string('run', 36);
    });
    const uuids: string[] = [];
    for (let run = 0; run < runs; run += 1) uuids.push((await endedRun(database, 'failed')).runUuid);
    return uuids.sort();
  };
  const sent = async (database: Database): Promise<string[]> =>
    ((await database.knex('test_mails').select('run')) as { run: string }[]).map((row) => row.run).sort();

  it('that work at the same time send every mail once', async () => {
    const { database } = current();
    const runs = await prepare(database, 30);
    const processes = Array.from({ length: 4 }, () => start(current(), 'once'));
    await Promise.all(processes.map(async (child) => await once(child, 'exit')));
    expect(await sent(database)).toEqual(runs);
    expect(new Set(await statuses(database))).toEqual(new Set(['sent']));
  });

  it('that are killed again and again lose no mail, and double at most the one that each had in hand', async () => {
    const { database } = current();
    const runs = await prepare(database, 16);
    let kills = 0;
    // Until everything is sent: leases of the dead are cut short here instead of waiting five minutes for each.
    while ((await statuses(database)).some((status) => status !== 'sent')) {
      const child = start(current());
      const exited = once(child, 'exit');
      const before = (await sent(database)).length;
      for (let tries = 0; tries < 200 && (await sent(database)).length < before + 4; tries += 1) await delay(5);
      child.kill('SIGKILL');
      await exited;
      kills += 1;
      await database
        .knex('s3_cloudbackup_outbox')
        .where('status', 'sending')
        .update({ not_before: toDatabaseTime(0) });
    }
    const mails = await sent(database);
    expect([...new Set(mails)]).toEqual(runs);
    expect(mails.length).toBeLessThanOrEqual(runs.length + kills);
  });
});
