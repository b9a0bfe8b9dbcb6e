import { claimRuns } from '../src/database/claims.ts';
import { openDatabase, type DatabaseSettings } from '../src/database/connect.ts';
import { appendEvents } from '../src/database/events.ts';
import { event } from '../src/events/catalogue.ts';

/**
 * One of the processes that load the database at once. Says `ready`, waits for a line with what to do, does it, says `done`:
 * {"do":"claim","worker":"w1"} · {"do":"bare-update","ids":[…]} · {"do":"events","run":1,"batches":50} · {"do":"bare-events","run":1,"batches":50}
 */
interface Order {
  readonly do: 'claim' | 'bare-update' | 'events' | 'bare-events';
  readonly worker: string;
  readonly ids: number[];
  readonly run: number;
  readonly batches: number;
}

const settings = JSON.parse(process.argv[2] ?? '{}') as DatabaseSettings;
const database = openDatabase(settings);
await database.readClock();
process.on('message', (order: Order) => void obey(order).then((count) => process.send?.({ count })));
process.on('disconnect', () => process.exit(0));
process.send?.('ready');

async function obey(order: Order): Promise<number> {
  switch (order.do) {
    case 'claim':
      return await claimAll(order.worker);
    case 'bare-update':
      return await updateAll(order.ids);
    case 'events':
      return await writeEvents(order);
    case 'bare-events':
      return await writeBareEvents(order);
  }
}

async function claimAll(uuid: string): Promise<number> {
  let claimed = 0;
  for (;;) {
    const runs = await claimRuns(database, {
      worker: { uuid, hostname: uuid, maxConcurrent: 1_000_000 },
      limits: { global: 1_000_000, perClient: 1_000_000 },
      leaseMs: 60_000,
      // As many as a worker has free slots by default.
      slots: 5,
    });
    if (runs.length === 0) return claimed;
    claimed += runs.length;
  }
}

/** The least that a claim can cost: one conditional UPDATE, one commit. */
async function updateAll(ids: readonly number[]): Promise<number> {
  for (const id of ids) {
    await database
      .knex('s3_cloudbackup_runs')
      .where({ id, status: 'queued' })
      .update({ status: 'starting', lease_token: 'x' });
  }
  return ids.length;
}

const batch = Array.from({ length: 100 }, (_, index) =>
  event('PROGRESS_UPDATE', {
    files_done: index,
    files_total: 100,
    pct: index,
    bytes_done: index,
    bytes_total: 1000,
    speed_bps: 5,
    eta_seconds: 1,
  }),
);

async function writeEvents(order: Order): Promise<number> {
  for (let index = 0; index < order.batches; index += 1) {
    await database.transaction(async (trx) => await appendEvents(trx, database, order.run, batch, { max: 10_000_000 }));
  }
  return order.batches * batch.length;
}

/** The same rows by nothing but a multi-row INSERT. */
async function writeBareEvents(order: Order): Promise<number> {
  for (let index = 0; index < order.batches; index += 1) {
    await database.knex('s3_cloudbackup_run_events').insert(
      batch.map((one, position) => ({
        run_id: order.run,
        seq: 1_000_000 + index * batch.length + position,
        ts: '2026-01-01 00:00:00.000',
        type: one.type,
        level: one.level,
        code: one.code,
        message_id: one.messageId,
        params_json: JSON.stringify(one.params),
      })),
    );
  }
  return order.batches * batch.length;
}
