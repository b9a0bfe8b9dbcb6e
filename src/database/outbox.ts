import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { v7 } from 'uuid';
import type { RunKind, TerminalStatus } from '../runs/state.ts';
import { redact } from '../security/redact.ts';
import type { Database, Executor } from './connect.ts';
import { fromDatabaseTime, fromDatabaseTimeOrNull, toDatabaseTime } from './times.ts';

const TABLE = 's3_cloudbackup_outbox';

/**
 * `run`: a run ended. `overdue`: no good point came in time. `frozen`: retention stopped until somebody looks. `drill_overdue`: a restore
 * test is due and no worker carries it out; one that failed is a `run`. `ending`: a service is over, and its backups go when a grace is.
 */
export type NoticeKind = 'run' | 'overdue' | 'frozen' | 'drill_overdue' | 'ending';

/**
 * `pending` → `sending` (claimed) → `sent`, or back to `pending` for another attempt, or `failed` when there were too many.
 * `suppressed`: nobody wants it, or there is no template; `last_error` says why. A row is never sent twice, save when a process dies
 * between the mail server's answer and the note of it.
 */
export type NoticeStatus = 'pending' | 'sending' | 'sent' | 'suppressed' | 'failed';

export interface NewNotice {
  /** One mail a fact: `run:<uuid>:failed`, `overdue:<job uuid>:<since>`. ASCII, at most 191 characters. */
  readonly dedupeKey: string;
  readonly kind: NoticeKind;
  readonly clientId: number;
  readonly jobId?: number | null;
  readonly runId?: number | null;
  /** What the mail needs and the rows of job and run may not tell any more. Never secrets. */
  readonly payload?: Readonly<Record<string, unknown>>;
  /** Epoch milliseconds; by default the database's clock. */
  readonly now?: number;
}

/**
 * Writes a notice in the transaction of the fact it tells of. Whether a mail goes out, and to whom, is decided when it is sent.
 * False: this fact has its notice already.
 */
export async function enqueueNotice(trx: Knex.Transaction, database: Database, notice: NewNotice): Promise<boolean> {
  const known: unknown = await trx(TABLE).where('dedupe_key', notice.dedupeKey).first('id');
  if (known !== undefined) return false;
  const now = notice.now === undefined ? database.now() : toDatabaseTime(notice.now);
  await trx(TABLE)
    .insert({
      uuid: v7(),
      dedupe_key: notice.dedupeKey,
      kind: notice.kind,
      client_id: notice.clientId,
      job_id: notice.jobId ?? null,
      run_id: notice.runId ?? null,
      payload_json: notice.payload === undefined ? null : JSON.stringify(notice.payload),
      status: 'pending',
      not_before: now,
      created_at: now,
    })
    .onConflict('dedupe_key')
    .ignore();
  return true;
}

export interface EndedRun {
  readonly id: number;
  readonly uuid: string;
  readonly jobId: number;
  readonly clientId: number;
  readonly kind: RunKind;
  readonly status: TerminalStatus;
  readonly errorCode?: string | null;
  /** Epoch milliseconds; by default the database's clock. */
  readonly now?: number;
}

/** Kinds whose end a customer hears of: what runs by itself. A restore is watched by the person who started it. */
const noticedKinds: ReadonlySet<RunKind> = new Set(['backup', 'validation', 'drill']);

/**
 * The notice of a run's end, for the transaction that ends it. Nothing for kinds that nobody hears of; slots that were skipped
 * are not ended runs and never come here.
 */
export async function enqueueRunNotice(trx: Knex.Transaction, database: Database, run: EndedRun): Promise<boolean> {
  if (!noticedKinds.has(run.kind)) return false;
  return await enqueueNotice(trx, database, {
    dedupeKey: `run:${run.uuid}:${run.status}`,
    kind: 'run',
    clientId: run.clientId,
    jobId: run.jobId,
    runId: run.id,
    payload: { status: run.status, error_code: run.errorCode ?? null },
    ...(run.now === undefined ? {} : { now: run.now }),
  });
}

export interface ClaimedNotice {
  readonly id: number;
  readonly uuid: string;
  readonly kind: NoticeKind;
  readonly clientId: number;
  readonly jobId: number | null;
  readonly runId: number | null;
  readonly payload: Readonly<Record<string, unknown>>;
  /** 1 = this is the first attempt. */
  readonly attempt: number;
  readonly token: string;
}

/**
 * Takes up to `limit` notices whose time has come, and those whose sender died: claimed rows wait under `not_before` until their lease
 * is over, so one index finds both. Two processes never get the same one.
 */
export async function claimNotices(
  database: Database,
  options: { limit: number; leaseMs: number },
): Promise<ClaimedNotice[]> {
  const token = randomBytes(18).toString('base64url');
  const due = (await dueNotices(database).limit(options.limit).select('id', 'status', 'not_before')) as {
    id: number;
    status: NoticeStatus;
    not_before: string;
  }[];
  if (due.length === 0) return [];
  return await database.transaction(async (trx) => {
    const ids: number[] = [];
    for (const row of due) {
      const taken = await trx(TABLE)
        .where({ id: row.id, status: row.status, not_before: row.not_before })
        .update({
          status: 'sending',
          attempts: trx.raw('attempts + 1'),
          lease_token: token,
          lease_expires_at: database.now(options.leaseMs),
          not_before: database.now(options.leaseMs),
        });
      if (taken > 0) ids.push(Number(row.id));
    }
    const rows = (await trx(TABLE)
      .whereIn('id', ids)
      .where('lease_token', token)
      .orderBy('id')
      .select('*')) as NoticeRow[];
    return rows.map((row) => ({ ...toNotice(row), token }));
  });
}

/** Notices that wait for a sender, oldest first. */
export function dueNotices(database: Database): Knex.QueryBuilder {
  return database
    .knex(TABLE)
    .whereIn('status', ['pending', 'sending'])
    .where('not_before', '<=', database.now())
    .orderBy('not_before')
    .orderBy('id');
}

function owned(executor: Executor, notice: Pick<ClaimedNotice, 'id' | 'token'>): Knex.QueryBuilder {
  return executor(TABLE).where({ id: notice.id, status: 'sending', lease_token: notice.token });
}

/** Call it right before the mail is handed over. False: somebody else has the notice, so do not send. */
export async function renewNotice(
  database: Database,
  notice: Pick<ClaimedNotice, 'id' | 'token'>,
  leaseMs: number,
): Promise<boolean> {
  const renewed = await owned(database.knex, notice).update({
    lease_expires_at: database.now(leaseMs),
    not_before: database.now(leaseMs),
  });
  return renewed > 0;
}

/** The mail server took it. Also stamps the run's `notified_at`. */
export async function markNoticeSent(database: Database, notice: ClaimedNotice): Promise<boolean> {
  return await database.transaction(async (trx) => {
    const changed = await owned(trx, notice).update({
      ...settled('sent'),
      sent_at: database.now(),
    });
    if (changed > 0 && notice.runId !== null) {
      await trx('s3_cloudbackup_runs').where('id', notice.runId).update({ notified_at: database.now() });
    }
    return changed > 0;
  });
}

/** Nobody gets this one; `reason` stays visible in the row. */
export async function markNoticeSuppressed(
  database: Database,
  notice: Pick<ClaimedNotice, 'id' | 'token'>,
  reason: string,
): Promise<boolean> {
  return (
    (await owned(database.knex, notice).update({ ...settled('suppressed'), last_error: reason.slice(0, 1_000) })) > 0
  );
}

/** Attempts after which a mail is given up; with the delays below that is a little more than a day. */
export const MAX_SEND_ATTEMPTS = 12;

/** Delay after attempt n: 1 min doubling to 6 h, ± 20 %. */
export function sendRetryDelayMs(attempt: number, random: () => number = Math.random): number {
  return Math.round(Math.min(60_000 * 2 ** Math.max(0, attempt - 1), 6 * 3_600_000) * (0.8 + 0.4 * random()));
}

/** The mail could not be handed over: tried again later, given up after `MAX_SEND_ATTEMPTS`. */
export async function markNoticeFailed(
  database: Database,
  notice: ClaimedNotice,
  error: string,
  random: () => number = Math.random,
): Promise<'retry' | 'failed' | 'lost'> {
  const over = notice.attempt >= MAX_SEND_ATTEMPTS;
  const changed = await owned(database.knex, notice).update({
    ...settled(over ? 'failed' : 'pending'),
    last_error: redact(error).slice(0, 1_000),
    ...(over ? {} : { not_before: database.now(sendRetryDelayMs(notice.attempt, random)) }),
  });
  if (changed === 0) return 'lost';
  return over ? 'failed' : 'retry';
}

function settled(status: NoticeStatus): Record<string, unknown> {
  return { status, lease_token: null, lease_expires_at: null };
}

export interface NoticeView {
  readonly id: string;
  readonly kind: NoticeKind;
  readonly status: NoticeStatus;
  readonly attempts: number;
  readonly lastError: string | null;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly sentAt: number | null;
}

/** The notices of one run, for its page. */
export async function noticesOfRun(database: Database, clientId: number, runId: number): Promise<NoticeView[]> {
  const rows = (await database
    .knex(TABLE)
    .where({ run_id: runId, client_id: clientId })
    .orderBy('id')
    .limit(100)
    .select('*')) as NoticeRow[];
  return rows.map((row) => ({
    id: row.uuid,
    kind: row.kind,
    status: row.status,
    attempts: Number(row.attempts),
    lastError: row.last_error,
    createdAt: fromDatabaseTime(row.created_at),
    sentAt: fromDatabaseTimeOrNull(row.sent_at),
  }));
}

interface NoticeRow {
  id: number;
  uuid: string;
  kind: NoticeKind;
  client_id: number;
  job_id: number | null;
  run_id: number | null;
  payload_json: string | null;
  status: NoticeStatus;
  attempts: number;
  last_error: string | null;
  created_at: string;
  sent_at: string | null;
}

function toNotice(row: NoticeRow): Omit<ClaimedNotice, 'token'> {
  return {
    id: Number(row.id),
    uuid: row.uuid,
    kind: row.kind,
    clientId: Number(row.client_id),
    jobId: row.job_id === null ? null : Number(row.job_id),
    runId: row.run_id === null ? null : Number(row.run_id),
    payload: row.payload_json === null ? {} : (JSON.parse(row.payload_json) as Record<string, unknown>),
    attempt: Number(row.attempts),
  };
}
