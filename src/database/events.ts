import type { Knex } from 'knex';
import { isClosing, isIndispensable, event, type RunEvent } from '../events/catalogue.ts';
import type { EventLevel, EventType } from '../events/define.ts';
import { BackupError } from '../errors/backup-error.ts';
import type { Database } from './connect.ts';
import { eventRow, fitEvent, type EventRow } from './event-rows.ts';
import { fromDatabaseTime, toDatabaseTime } from './times.ts';

const TABLE = 's3_cloudbackup_run_events';
const RUNS = 's3_cloudbackup_runs';

/** Most events that are kept of one run, unless a setting says otherwise. */
export const MAX_EVENTS_PER_RUN = 5_000;
/** Rows in one INSERT. */
const CHUNK = 500;

/** An event of the catalogue (`event(id, params)`), or of an agent of another version. */
export interface NewEvent extends RunEvent {
  /** Epoch milliseconds; by default the database's clock. */
  readonly ts?: number;
  /** An agent's own numbering: what was pushed before is not inserted again. Both or none. */
  readonly producer?: string;
  readonly producerSeq?: number;
}

export interface AppendOptions {
  /** Most events of this run. Near it only errors and the run's end are kept, for which room is reserved. Default 5,000. */
  readonly max?: number;
}

export interface AppendResult {
  readonly inserted: number;
  /** Over the cap. */
  readonly dropped: number;
  /** Known before, by producer and number. */
  readonly repeated: number;
}

/**
 * Appends events to a run, in the caller's transaction and in order. Their numbers come from the run's row, which stays locked until
 * commit, so readers never see a later event before an earlier one. One UPDATE and one INSERT a batch of up to 500; more only for
 * agents' events (deduplicated) and for runs that are over their cap.
 *
 * Texts in parameters are redacted here: nothing that comes from a program or server reaches the table as it came.
 */
export async function appendEvents(
  trx: Knex.Transaction,
  database: Database,
  runId: number,
  events: readonly NewEvent[],
  options: AppendOptions = {},
): Promise<AppendResult> {
  const fresh = await withoutRepeated(trx, runId, events);
  const repeated = events.length - fresh.length;
  if (fresh.length === 0) return { inserted: 0, dropped: 0, repeated };
  const max = options.max ?? MAX_EVENTS_PER_RUN;
  const lastSeq = await takeNumbers(trx, database, runId, fresh.length);
  const numbered = fresh.map((one, index) => ({ event: one, seq: lastSeq - fresh.length + 1 + index }));
  const { kept, dropped } =
    lastSeq <= ordinaryRoom(max) ? { kept: numbered, dropped: 0 } : await capped(trx, runId, numbered, lastSeq, max);
  for (let start = 0; start < kept.length; start += CHUNK) {
    await insertRows(
      trx,
      database,
      kept.slice(start, start + CHUNK).map((one) => eventRow(runId, one.seq, one.event)),
    );
  }
  return { inserted: kept.length, dropped, repeated };
}

interface Numbered {
  readonly event: NewEvent;
  readonly seq: number;
}

/** Adds to the run's counters and returns the last number that is ours. */
async function takeNumbers(trx: Knex.Transaction, database: Database, runId: number, count: number): Promise<number> {
  if (database.dialect === 'mysql') {
    // LAST_INSERT_ID(expr) hands the new value back with the answer of the UPDATE: no second round trip.
    const [answer] = (await trx.raw(
      `UPDATE ${RUNS} SET event_seq = LAST_INSERT_ID(event_seq + ?), event_count = event_count + ? WHERE id = ?`,
      [count, count, runId],
    )) as [{ affectedRows: number; insertId: number }];
    if (answer.affectedRows === 0) throw new BackupError('RUN_NOT_FOUND');
    return Number(answer.insertId);
  }
  const rows = (await trx.raw(
    `UPDATE ${RUNS} SET event_seq = event_seq + ?, event_count = event_count + ? WHERE id = ? RETURNING event_seq`,
    [count, count, runId],
  )) as { event_seq: number }[];
  const row = rows[0];
  if (row === undefined) throw new BackupError('RUN_NOT_FOUND');
  return Number(row.event_seq);
}

/** Numbers up to here are given to any event; beyond, what was dropped before decides. */
function ordinaryRoom(max: number): number {
  return max - Math.min(200, Math.ceil(max / 10));
}

/**
 * Errors have the whole room. The run's end is always kept: a little room beyond what is there, whatever cap its writer knows of, and
 * only a little because what calls itself an end may be many.
 */
function roomFor(one: NewEvent, max: number, present: number): number {
  if (isClosing(one)) return Math.max(max, present) + 20;
  return isIndispensable(one) ? max : ordinaryRoom(max);
}

/**
 * Which events of a batch a run keeps near its cap, and the marker that tells of the others. `event_seq` counts all events,
 * `event_count` those that are kept: as long as both are equal nothing was dropped, and the marker is still to come.
 */
async function capped(
  trx: Knex.Transaction,
  runId: number,
  batch: readonly Numbered[],
  lastSeq: number,
  max: number,
): Promise<{ kept: Numbered[]; dropped: number }> {
  const row = (await trx(RUNS).where('id', runId).select('event_count').first()) as { event_count: number };
  const present = Number(row.event_count) - batch.length;
  const complete = present === lastSeq - batch.length;
  // Somebody who knows a higher cap writes this run, and nothing was dropped yet.
  if (complete && present > max) return { kept: [...batch], dropped: 0 };
  let count = present;
  const kept: Numbered[] = [];
  let dropped = 0;
  for (const one of batch) {
    if (count < roomFor(one.event, max, present)) {
      kept.push(one);
      count += 1;
    } else {
      // The marker takes the number of the first event that is dropped: it stands where the gap begins.
      if (complete && dropped === 0) kept.push({ seq: one.seq, event: event('EVENTS_TRUNCATED', { max }) });
      dropped += 1;
    }
  }
  if (dropped > 0) {
    await trx(RUNS).where('id', runId).update({ event_count: count });
  }
  return { kept, dropped };
}

async function insertRows(trx: Knex.Transaction, database: Database, rows: readonly EventRow[]): Promise<void> {
  if (rows.length === 0) return;
  const clock =
    database.dialect === 'mysql' ? 'LEFT(CAST(UTC_TIMESTAMP(3) AS CHAR), 23)' : `strftime('%Y-%m-%d %H:%M:%f', 'now')`;
  const bindings: (string | number)[] = [];
  const values = rows.map((row) => {
    if (row.ts !== null) bindings.push(toDatabaseTime(row.ts));
    bindings.push(row.type, row.level, row.code, row.message_id);
    for (const value of [row.params_json, row.producer]) if (value !== null) bindings.push(value);
    // Numbers and nulls of our own stand in the text: every binding costs, and this is the busiest statement of a run.
    const params = row.params_json === null ? 'NULL' : '?';
    const producer = row.producer === null ? 'NULL,NULL' : `?,${integer(row.producer_seq ?? 0)}`;
    return `(${integer(row.run_id)},${integer(row.seq)},${row.ts === null ? clock : '?'},?,?,?,?,${params},${producer})`;
  });
  await trx.raw(
    `INSERT INTO ${TABLE} (run_id, seq, ts, type, level, code, message_id, params_json, producer, producer_seq) VALUES ${values.join(',')}`,
    bindings,
  );
}

function integer(value: number): string {
  if (!Number.isSafeInteger(value)) throw new RangeError('not a whole number');
  return String(value);
}

/** Leaves out what this producer pushed before, also within the batch itself. Workers' events have no producer and cost nothing here. */
async function withoutRepeated(trx: Knex.Transaction, runId: number, events: readonly NewEvent[]): Promise<NewEvent[]> {
  const numbers = new Map<string, number[]>();
  for (const { producer, producerSeq } of events) {
    if (producer !== undefined && producerSeq !== undefined) {
      numbers.set(producer, [...(numbers.get(producer) ?? []), producerSeq]);
    }
  }
  if (numbers.size === 0) return events.map(fitEvent);
  // Locks the run: a second push of the same batch waits here and then sees the first one's rows.
  await trx(RUNS).where('id', runId).forUpdate().first('id');
  const known = new Set<string>();
  for (const [producer, seqs] of numbers) {
    for (let start = 0; start < seqs.length; start += CHUNK) {
      const rows = (await trx(TABLE)
        .where({ run_id: runId, producer })
        .whereIn('producer_seq', seqs.slice(start, start + CHUNK))
        .forUpdate()
        .select('producer_seq')) as { producer_seq: number }[];
      for (const row of rows) known.add(`${producer}\n${Number(row.producer_seq)}`);
    }
  }
  const fresh: NewEvent[] = [];
  for (const one of events) {
    const name = `${one.producer}\n${one.producerSeq}`;
    if (one.producerSeq !== undefined && known.has(name)) continue;
    known.add(name);
    fresh.push(fitEvent(one));
  }
  return fresh;
}

/** Appends events in a transaction of its own. */
export function recordEvents(
  database: Database,
  runId: number,
  events: readonly NewEvent[],
  options: AppendOptions = {},
): Promise<AppendResult> {
  return database.transaction((trx) => appendEvents(trx, database, runId, events, options));
}

/** One stored event, as the API and the pages get it. */
export interface StoredEvent {
  /** The event's number within its run: what `since` takes. */
  readonly id: number;
  /** Epoch milliseconds. */
  readonly ts: number;
  readonly type: EventType;
  readonly level: EventLevel;
  readonly code: string;
  readonly messageId: string;
  readonly params: Readonly<Record<string, unknown>>;
}

export interface EventQuery {
  /** Number of the last event that is known already; 0 = from the start. */
  readonly since?: number;
  /** At most 1,000; default 250. */
  readonly limit?: number;
}

/** Events of one run of this client, in order. Throws RUN_NOT_FOUND, for a foreign run as for a missing one. */
export async function listEvents(
  database: Database,
  clientId: number,
  runUuid: string,
  query: EventQuery = {},
): Promise<StoredEvent[]> {
  const run = (await database.knex(RUNS).where({ uuid: runUuid, client_id: clientId }).first('id')) as
    { id: number } | undefined;
  if (run === undefined) throw new BackupError('RUN_NOT_FOUND');
  return await listRunEvents(database, Number(run.id), query);
}

/** As `listEvents`, for callers that hold the run itself (operators, mails). */
export async function listRunEvents(database: Database, runId: number, query: EventQuery = {}): Promise<StoredEvent[]> {
  const rows = (await eventsQuery(database, runId, query)) as EventRowRead[];
  return rows.map(fromRow);
}

export function eventsQuery(database: Database, runId: number, query: EventQuery = {}): Knex.QueryBuilder {
  return database
    .knex(TABLE)
    .where('run_id', runId)
    .where('seq', '>', query.since ?? 0)
    .orderBy('seq')
    .limit(Math.min(1_000, Math.max(1, query.limit ?? 250)))
    .select('seq', 'ts', 'type', 'level', 'code', 'message_id', 'params_json');
}

/** The last events of a run in order, without progress: for mails and reports. */
export async function lastEvents(database: Database, runId: number, limit: number): Promise<StoredEvent[]> {
  const rows = (await lastEventsQuery(database, runId, limit)) as EventRowRead[];
  return rows.reverse().map(fromRow);
}

export function lastEventsQuery(database: Database, runId: number, limit: number): Knex.QueryBuilder {
  return database
    .knex(TABLE)
    .where('run_id', runId)
    .whereNot('type', 'progress')
    .orderBy('seq', 'desc')
    .limit(limit)
    .select('seq', 'ts', 'type', 'level', 'code', 'message_id', 'params_json');
}

interface EventRowRead {
  seq: number;
  ts: string;
  type: EventType;
  level: EventLevel;
  code: string;
  message_id: string;
  params_json: string | null;
}

function fromRow(row: EventRowRead): StoredEvent {
  return {
    id: Number(row.seq),
    ts: fromDatabaseTime(row.ts),
    type: row.type,
    level: row.level,
    code: row.code,
    messageId: row.message_id,
    params: row.params_json === null ? {} : (JSON.parse(row.params_json) as Record<string, unknown>),
  };
}
