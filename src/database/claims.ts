import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { ownedStatuses, type RunKind } from '../runs/state.ts';
import type { Database, Executor } from './connect.ts';
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

/** A client's oldest queued run; `exact` is false while only "younger than `id`" is known of the next one. */
interface Head {
  readonly clientId: number;
  readonly id: number;
  readonly exact: boolean;
}

const LEFTOVERS_AFTER_MS = 24 * 3_600_000;

/**
 * Takes the leases of up to `slots` queued cloud runs, in one transaction. Concurrency limits hold exactly: every claim passes
 * the gate of the whole system, so two claims never act on the same count.
 * Order: the client with the fewest active runs first, then the oldest run. Returns [] when nothing may be taken.
 *
 * Strategy: while the gate is held only what must be exact is done (one query for all counts and heads, two updates); the rows are
 * read after the commit. A worker with several free slots takes them all at once.
 */
export async function claimRuns(database: Database, request: ClaimRequest): Promise<ClaimedRun[]> {
  if (request.slots <= 0) return [];
  const token = randomBytes(18).toString('base64url');
  const ids = await database.transaction(async (trx) => {
    await passGates(trx, ['global']);
    const chosen = await choose(database, trx, request);
    if (chosen.length === 0) return [];
    const numbers = chosen.map((run) => run.id);
    await take(database, trx, request, token, numbers);
    return numbers;
  });
  if (ids.length === 0) return [];
  const rows = (await database
    .knex('s3_cloudbackup_runs')
    .whereIn('id', ids)
    .where('worker_uuid', request.worker.uuid)
    .select(runColumns)) as RunRow[];
  return rows.filter((row) => row.lease_token?.startsWith(`${token}.`)).map(toClaimedRun);
}

/** Cheap look before the first claim of a round, so that idle workers do not touch the gate. */
export async function isAnythingQueued(database: Database): Promise<boolean> {
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

/**
 * Everything that a choice depends on, in one answer: active runs and oldest queued run by client, this worker's runs, limits. Written
 * out, because knex puts the GROUP BY of a union's first part behind its last one.
 */
export function claimSituation(database: Database, executor: Executor, workerUuid: string): Knex.Raw {
  const owned = ownedStatuses.map((status) => `'${status}'`).join(', ');
  // One part for each status: so the index yields the groups in order, and MariaDB has nothing to sort.
  const active = ownedStatuses.map(
    (status) => `SELECT 'active' AS what, client_id, COUNT(*) AS n FROM s3_cloudbackup_runs
       WHERE status = '${status}' AND agent_uuid IS NULL GROUP BY client_id
     UNION ALL`,
  );
  return executor.raw(
    `${active.join('\n')}
     SELECT 'queued', client_id, MIN(id) FROM s3_cloudbackup_runs
       WHERE status = 'queued' AND agent_uuid IS NULL AND (not_before IS NULL OR not_before <= ?) GROUP BY client_id
     UNION ALL
     SELECT 'mine', 0, COUNT(*) FROM s3_cloudbackup_runs WHERE worker_uuid = ? AND status IN (${owned})
     UNION ALL
     SELECT 'limit', client_id, per_client_max_concurrent_jobs FROM s3_cloudbackup_settings
       WHERE per_client_max_concurrent_jobs >= 0`,
    [database.now(), workerUuid],
  );
}

interface Situation {
  readonly what: 'active' | 'queued' | 'mine' | 'limit';
  readonly client_id: number;
  readonly n: number;
}

async function readSituation(database: Database, trx: Knex.Transaction, workerUuid: string): Promise<Situation[]> {
  const answer = (await claimSituation(database, trx, workerUuid)) as Situation[] | [Situation[]];
  return database.dialect === 'mysql' ? (answer as [Situation[]])[0] : (answer as Situation[]);
}

async function choose(database: Database, trx: Knex.Transaction, request: ClaimRequest): Promise<Head[]> {
  const rows = await readSituation(database, trx, request.worker.uuid);
  const active = new Map<number, number>();
  const limits = new Map<number, number>();
  const of = (clientId: number): number => active.get(clientId) ?? 0;
  let heads: Head[] = [];
  let everywhere = 0;
  let mine = 0;
  for (const row of rows) {
    const [clientId, n] = [Number(row.client_id), Number(row.n)];
    if (row.what === 'active') {
      active.set(clientId, of(clientId) + n);
      everywhere += n;
    } else if (row.what === 'queued') heads.push({ clientId, id: n, exact: true });
    else if (row.what === 'mine') mine = n;
    else limits.set(clientId, n);
  }
  const limit = (clientId: number): number => limits.get(clientId) ?? request.limits.perClient ?? Infinity;
  const room = Math.min(
    request.slots,
    request.worker.maxConcurrent - mine,
    (request.limits.global ?? Infinity) - everywhere,
  );
  const chosen: Head[] = [];
  while (chosen.length < room && heads.length > 0) {
    heads = heads.filter((head) => of(head.clientId) < limit(head.clientId));
    heads.sort((a, b) => of(a.clientId) - of(b.clientId) || a.id - b.id);
    const head = heads.shift();
    if (!head) break;
    const run = head.exact ? head : await nextHead(database, trx, head);
    if (run === null) continue;
    if (!head.exact && run.id > head.id + 1) {
      // Younger than was assumed: it takes its place in the order again.
      heads.push(run);
      continue;
    }
    chosen.push(run);
    active.set(run.clientId, of(run.clientId) + 1);
    heads.push({ clientId: run.clientId, id: run.id, exact: false });
  }
  return chosen;
}

async function nextHead(database: Database, trx: Knex.Transaction, after: Head): Promise<Head | null> {
  const row = (await dueRuns(database, trx)
    .where('client_id', after.clientId)
    .where('id', '>', after.id)
    .orderBy('id')
    .select('id')
    .first()) as { id: number } | undefined;
  return row === undefined ? null : { clientId: after.clientId, id: Number(row.id), exact: true };
}

async function take(
  database: Database,
  trx: Knex.Transaction,
  request: ClaimRequest,
  token: string,
  ids: readonly number[],
): Promise<void> {
  const marks = ids.map(() => '?').join(', ');
  const concat = (parts: string): string =>
    database.dialect === 'mysql' ? `CONCAT(${parts})` : parts.split(', ').join(' || ');
  // The names come before the counter: MySQL sees columns that were assigned to their left.
  await trx.raw(
    `UPDATE s3_cloudbackup_runs SET
       claim_name = ${concat(`'c', (claim + 1), '-', ?`)}, claim = claim + 1, status = 'starting', phase = 'starting',
       lease_token = ${concat(`?, '.', uuid`)}, lease_expires_at = ?, last_heartbeat_at = ?, worker_uuid = ?, worker_host = ?,
       engine_version = ?, started_at = COALESCE(started_at, ?), updated_at = ?,
       generation = (SELECT j.generation + 1 FROM s3_cloudbackup_jobs j WHERE j.id = s3_cloudbackup_runs.job_id)
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
  // "Counted at claim": a later claim of any run of the job has a higher number. Whatever a claim may leave behind is looked for a day later.
  if (database.dialect === 'mysql') {
    await trx.raw(
      `UPDATE s3_cloudbackup_jobs j JOIN s3_cloudbackup_runs r ON r.job_id = j.id
       SET j.generation = r.generation, j.maintenance_at = COALESCE(j.maintenance_at, ?) WHERE r.id IN (${marks})`,
      [database.now(LEFTOVERS_AFTER_MS), ...ids] as Knex.RawBinding[],
    );
  } else {
    await trx('s3_cloudbackup_jobs')
      .whereIn(
        'id',
        trx('s3_cloudbackup_runs')
          .whereIn('id', [...ids])
          .select('job_id'),
      )
      .update({
        generation: trx.raw('generation + 1'),
        maintenance_at: trx.raw('COALESCE(maintenance_at, ?)', [database.now(LEFTOVERS_AFTER_MS)]),
      });
  }
}

const runColumns = [
  'id',
  'uuid',
  'job_id',
  'job_uuid',
  'client_id',
  'kind',
  'claim',
  'claim_name',
  'generation',
  'attempt',
  'max_attempts',
  'lease_token',
  'options_json',
] as const satisfies readonly (keyof RunRow)[];

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
