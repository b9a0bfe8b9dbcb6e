import type { Knex } from 'knex';
import {
  auditHash,
  CHAIN_START,
  firstBrokenEntry,
  type AuditEntry,
  type ChainedAuditEntry,
} from '../security/audit.ts';
import type { Database } from './connect.ts';

const TABLE = 's3_cloudbackup_audit';
const GATES = 's3_cloudbackup_gates';
const GATE = 'audit';
const PAGE = 1_000;

export interface NewAuditEntry extends Omit<AuditEntry, 'ts' | 'paramsJson'> {
  /** JSON-able details; never secrets. */
  readonly params?: Readonly<Record<string, unknown>>;
}

/**
 * Appends one entry in the caller's transaction, together with what it tells about. Every writer updates the audit gate's row first, so two
 * appends wait for each other and the chain cannot fork. Call it as the transaction's last statement: the gate is held until commit.
 */
export async function appendAudit(
  database: Database,
  trx: Knex.Transaction,
  entry: NewAuditEntry,
): Promise<ChainedAuditEntry> {
  await passGate(trx);
  // A locking read sees what was committed last, even if this transaction's snapshot is older.
  const last = await trx<AuditRow>(TABLE).orderBy('id', 'desc').forUpdate().first('hash');
  const chained: AuditEntry = {
    ts: await database.readClock(trx),
    actorKind: entry.actorKind,
    actorId: entry.actorId,
    clientId: entry.clientId,
    action: entry.action,
    targetKind: entry.targetKind,
    targetId: entry.targetId,
    paramsJson: entry.params === undefined ? null : JSON.stringify(entry.params),
  };
  const prevHash = last?.hash ?? CHAIN_START;
  const hash = auditHash(prevHash, chained);
  const [id] = await trx<AuditRow>(TABLE).insert({
    ts: chained.ts,
    actor_kind: chained.actorKind,
    actor_id: chained.actorId,
    client_id: chained.clientId,
    action: chained.action,
    target_kind: chained.targetKind,
    target_id: chained.targetId,
    params_json: chained.paramsJson,
    prev_hash: prevHash,
    hash,
  });
  return { ...chained, id: id ?? 0, prevHash, hash };
}

/** Appends one entry in a transaction of its own. */
export function recordAudit(database: Database, entry: NewAuditEntry): Promise<ChainedAuditEntry> {
  return database.transaction((trx) => appendAudit(database, trx, entry));
}

export interface AuditPage {
  readonly entries: readonly ChainedAuditEntry[];
  /** `beforeId` of the next page, null at the end. */
  readonly next: number | null;
}

/** Newest first; `clientId` limits it to one client's entries. */
export async function listAudit(
  database: Database,
  query: { clientId?: number; beforeId?: number; limit?: number } = {},
): Promise<AuditPage> {
  const limit = query.limit ?? 50;
  const rows = await database
    .knex<AuditRow>(TABLE)
    .modify((builder) => {
      if (query.clientId !== undefined) void builder.where('client_id', query.clientId);
      if (query.beforeId !== undefined) void builder.where('id', '<', query.beforeId);
    })
    .orderBy('id', 'desc')
    .limit(limit + 1);
  const entries = rows.slice(0, limit).map(fromRow);
  return { entries, next: rows.length > limit ? (entries.at(-1)?.id ?? null) : null };
}

/** How many entries of one kind a client has caused lately. */
export async function countLately(
  database: Database,
  query: { clientId: number; action: string; withinMs: number },
): Promise<number> {
  const row = (await countLatelyQuery(database, query)) as { entries: number | string } | undefined;
  return Number(row?.entries ?? 0);
}

/** Goes by the time: what lies in a short while is little, and what a client has caused in all may be much. */
export function countLatelyQuery(
  database: Database,
  { clientId, action, withinMs }: { clientId: number; action: string; withinMs: number },
): Knex.QueryBuilder {
  return database
    .knex(TABLE)
    .where('ts', '>=', database.now(-withinMs))
    .where({ client_id: clientId, action })
    .count({ entries: '*' })
    .first();
}

export interface AuditVerdict {
  /** Entries that were read. */
  readonly entries: number;
  /** Number of the first entry that does not follow from the one before it, or null: the chain is whole. */
  readonly brokenAt: number | null;
  /** Hash of the newest entry, to be kept elsewhere. */
  readonly head: string;
}

/** Reads the whole log in pages and recomputes every hash. */
export async function verifyAudit(database: Database): Promise<AuditVerdict> {
  let head = CHAIN_START;
  let entries = 0;
  for (let afterId = 0; ;) {
    const rows = await database.knex<AuditRow>(TABLE).where('id', '>', afterId).orderBy('id').limit(PAGE);
    const page = rows.map(fromRow);
    const broken = firstBrokenEntry(page, head);
    if (broken !== null) return { entries: entries + page.length, brokenAt: broken.id, head };
    const last = page.at(-1);
    if (last === undefined) return { entries, brokenAt: null, head };
    entries += page.length;
    head = last.hash;
    afterId = last.id;
  }
}

async function passGate(trx: Knex.Transaction): Promise<void> {
  const updated = await trx(GATES).where('scope', GATE).increment('version', 1);
  if (updated > 0) return;
  await trx(GATES).insert({ scope: GATE, version: 0 }).onConflict('scope').ignore();
  await trx(GATES).where('scope', GATE).increment('version', 1);
}

interface AuditRow {
  id: number;
  ts: string;
  actor_kind: AuditEntry['actorKind'];
  actor_id: string;
  client_id: number | null;
  action: string;
  target_kind: string | null;
  target_id: string | null;
  params_json: string | null;
  prev_hash: string;
  hash: string;
}

function fromRow(row: AuditRow): ChainedAuditEntry {
  return {
    id: Number(row.id),
    ts: row.ts,
    actorKind: row.actor_kind,
    actorId: row.actor_id,
    clientId: row.client_id === null ? null : Number(row.client_id),
    action: row.action,
    targetKind: row.target_kind,
    targetId: row.target_id,
    paramsJson: row.params_json,
    prevHash: row.prev_hash,
    hash: row.hash,
  };
}
