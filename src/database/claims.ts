import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { ownedStatuses, type RunKind } from '../runs/state.ts';
import type { Database } from './connect.ts';
import { passGates } from './gates.ts';

export interface ClaimLimits {
  /** Runs of all clients at once; null = no limit. */
  readonly global: number | null;
  /** Runs of one client at once, unless the operator set another number for it; null = no limit. */
  readonly perClient: number | null;
}

export interface ClaimRequest {
  readonly worker: { readonly uuid: string; readonly hostname: string; readonly maxConcurrent: number };
  readonly limits: ClaimLimits;
  readonly leaseMs: number;
  /** How many runs to take at most; the worker's own limit binds too. */
  readonly slots: number;
  readonly engineVersion?: string;
}

export interface ClaimedRun {
  readonly id: number;
  readonly uuid: string;
  readonly jobId: number;
  readonly jobUuid: string;
  readonly clientId: number;
  readonly kind: RunKind;
  readonly claim: number;
  readonly claimName: string;
  readonly generation: number;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly leaseToken: string;
  readonly options: Readonly<Record<string, unknown>>;
}

interface Candidate {
  id: number;
  client_id: number;
}

/**
 * Takes the leases of up to `slots` queued cloud runs, in one transaction. Concurrency limits hold exactly: every claim passes the
 * gates of the whole system, the worker and the clients first, so two claims never read the same count.
 * Order: the client with the fewest active runs first, then the oldest run. Returns [] when nothing may be taken.
 */
export async function claimRuns(database: Database, request: ClaimRequest): Promise<ClaimedRun[]> {
  if (request.slots <= 0 || !(await isAnythingQueued(database))) return [];
  return await database.transaction(async (trx) => {
    await passGates(trx, ['global', `worker:${request.worker.uuid}`]);
    const chosen = await choose(database, trx, request);
    if (chosen.length === 0) return [];
    await passGates(
      trx,
      chosen.map((run) => `client:${run.client_id}` as const),
    );
    return await take(database, trx, request, chosen);
  });
}

/** Cheap look before the transaction, so that idle workers do not touch the gates. */
async function isAnythingQueued(database: Database): Promise<boolean> {
  const row: unknown = await dueRuns(database, database.knex).select('id').first();
  return row !== undefined;
}

/** Queued cloud runs whose time has come (agents take their own). */
export function dueRuns(database: Database, executor: Knex | Knex.Transaction): Knex.QueryBuilder {
  return executor('s3_cloudbackup_runs')
    .where('status', 'queued')
    .whereNull('agent_uuid')
    .where((due) => void due.whereNull('not_before').orWhere('not_before', '<=', database.now()));
}

async function choose(database: Database, trx: Knex.Transaction, request: ClaimRequest): Promise<Candidate[]> {
  const active = (await trx('s3_cloudbackup_runs')
    .whereIn('status', [...ownedStatuses])
    .whereNull('agent_uuid')
    .groupBy('client_id', 'worker_uuid')
    .select('client_id', 'worker_uuid')
    .count({ runs: '*' })) as { client_id: number; worker_uuid: string | null; runs: number }[];
  const byClient = new Map<number, number>();
  let everywhere = 0;
  let mine = 0;
  for (const row of active) {
    const runs = Number(row.runs);
    everywhere += runs;
    if (row.worker_uuid === request.worker.uuid) mine += runs;
    byClient.set(Number(row.client_id), (byClient.get(Number(row.client_id)) ?? 0) + runs);
  }
  const room = Math.min(
    request.slots,
    request.worker.maxConcurrent - mine,
    (request.limits.global ?? Infinity) - everywhere,
  );
  if (room <= 0) return [];

  const waiting = (await dueRuns(database, trx)
    .groupBy('client_id')
    .select('client_id')
    .min({ id: 'id' })) as Candidate[];
  const limits = await clientLimits(
    trx,
    request.limits.perClient,
    waiting.map((row) => Number(row.client_id)),
  );
  const chosen: Candidate[] = [];
  let heads = waiting.map((row) => ({ id: Number(row.id), client_id: Number(row.client_id) }));
  while (chosen.length < room && heads.length > 0) {
    heads = heads.filter((head) => (byClient.get(head.client_id) ?? 0) < (limits.get(head.client_id) ?? Infinity));
    heads.sort((a, b) => (byClient.get(a.client_id) ?? 0) - (byClient.get(b.client_id) ?? 0) || a.id - b.id);
    const head = heads.shift();
    if (!head) break;
    chosen.push(head);
    byClient.set(head.client_id, (byClient.get(head.client_id) ?? 0) + 1);
    if (chosen.length < room) {
      const next = (await dueRuns(database, trx)
        .where('client_id', head.client_id)
        .where('id', '>', head.id)
        .orderBy('id')
        .select('id', 'client_id')
        .first()) as Candidate | undefined;
      if (next) heads.push({ id: Number(next.id), client_id: Number(next.client_id) });
    }
  }
  return chosen;
}

/** The operator's number for a client wins over the default; clients without either have no limit. */
async function clientLimits(
  trx: Knex.Transaction,
  fallback: number | null,
  clientIds: number[],
): Promise<Map<number, number>> {
  const rows = (await trx('s3_cloudbackup_settings')
    .whereIn('client_id', clientIds)
    .whereNotNull('per_client_max_concurrent_jobs')
    .select('client_id', 'per_client_max_concurrent_jobs')) as {
    client_id: number;
    per_client_max_concurrent_jobs: number;
  }[];
  const limits = new Map<number, number>();
  if (fallback !== null) for (const id of clientIds) limits.set(id, fallback);
  for (const row of rows) limits.set(Number(row.client_id), Number(row.per_client_max_concurrent_jobs));
  return limits;
}

async function take(
  database: Database,
  trx: Knex.Transaction,
  request: ClaimRequest,
  chosen: Candidate[],
): Promise<ClaimedRun[]> {
  const ids = chosen.map((run) => run.id);
  const marks = ids.map(() => '?').join(', ');
  const token = randomBytes(18).toString('base64url');
  const concat = (parts: string): string =>
    database.dialect === 'mysql' ? `CONCAT(${parts})` : parts.split(', ').join(' || ');
  // "Counted at claim": the number is above that of every earlier claim of any run of the job.
  await trx.raw(
    `UPDATE s3_cloudbackup_jobs SET generation = generation + 1 WHERE id IN (SELECT job_id FROM s3_cloudbackup_runs WHERE kind = 'backup' AND id IN (${marks}))`,
    ids,
  );
  // The names come before the counter: MySQL sees columns that were assigned to their left.
  await trx.raw(
    `UPDATE s3_cloudbackup_runs SET
       claim_name = ${concat(`'c', (claim + 1), '-', ?`)}, claim = claim + 1, status = 'starting', phase = 'starting',
       lease_token = ${concat(`?, '.', uuid`)}, lease_expires_at = ?, last_heartbeat_at = ?, worker_uuid = ?, worker_host = ?,
       engine_version = ?, started_at = COALESCE(started_at, ?), updated_at = ?,
       generation = (SELECT j.generation FROM s3_cloudbackup_jobs j WHERE j.id = s3_cloudbackup_runs.job_id)
     WHERE id IN (${marks}) AND status = 'queued'`,
    [
      randomBytes(4).toString('hex'),
      token,
      database.now(request.leaseMs),
      database.now(),
      request.worker.uuid,
      request.worker.hostname,
      request.engineVersion ?? null,
      database.now(),
      database.now(),
      ...ids,
    ] as Knex.RawBinding[],
  );
  const rows = (await trx('s3_cloudbackup_runs')
    .whereIn('id', ids)
    .where('status', 'starting')
    .where('worker_uuid', request.worker.uuid)
    .select('*')) as RunRow[];
  return rows.filter((row) => row.lease_token?.startsWith(`${token}.`)).map(toClaimedRun);
}

interface RunRow {
  id: number;
  uuid: string;
  job_id: number;
  job_uuid: string;
  client_id: number;
  kind: RunKind;
  claim: number;
  claim_name: string;
  generation: number;
  attempt: number;
  max_attempts: number;
  lease_token: string | null;
  options_json: string | null;
}

function toClaimedRun(row: RunRow): ClaimedRun {
  return {
    id: Number(row.id),
    uuid: row.uuid,
    jobId: Number(row.job_id),
    jobUuid: row.job_uuid,
    clientId: Number(row.client_id),
    kind: row.kind,
    claim: Number(row.claim),
    claimName: row.claim_name,
    generation: Number(row.generation),
    attempt: Number(row.attempt),
    maxAttempts: Number(row.max_attempts),
    leaseToken: row.lease_token ?? '',
    options: row.options_json ? (JSON.parse(row.options_json) as Record<string, unknown>) : {},
  };
}
