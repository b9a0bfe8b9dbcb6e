import { randomBytes } from 'node:crypto';
import type { Database } from './connect.ts';

/** A short request that the portal leaves for any worker: the portal itself never connects to an address that a customer gave. */
export interface WorkerCommand {
  readonly id: number;
  readonly uuid: string;
  readonly clientId: number;
  readonly type: string;
  readonly payloadEnc: string | null;
  readonly claimToken: string;
}

/**
 * Takes the oldest waiting command of the lane `worker`; null when there is none. One of a client at a time, about: whoever asks for
 * looks at servers that never answer waits for himself.
 */
export async function claimCommand(database: Database, claimMs: number): Promise<WorkerCommand | null> {
  for (;;) {
    const row = (await waitingCommands(database)
      .whereNotIn('client_id', busyClients(database))
      .orderBy('id')
      .select('*')
      .first()) as Record<string, unknown> | undefined;
    if (!row) return null;
    const token = randomBytes(18).toString('base64url');
    const taken = await database
      .knex('s3_cloudbackup_run_commands')
      .where({ id: row['id'], status: 'pending' })
      .update({
        status: 'processing',
        claim_token: token,
        claim_expires_at: database.now(claimMs),
        attempts: database.knex.raw('attempts + 1'),
      });
    if (taken > 0) {
      return {
        id: Number(row['id']),
        uuid: String(row['uuid']),
        clientId: Number(row['client_id']),
        type: String(row['type']),
        payloadEnc: (row['payload_enc'] as string | null) ?? null,
        claimToken: token,
      };
    }
  }
}

function busyClients(database: Database): ReturnType<Database['knex']> {
  return database
    .knex('s3_cloudbackup_run_commands')
    .where({ lane: 'worker', status: 'processing' })
    .where('expires_at', '>', database.now())
    .whereNotNull('client_id')
    .select('client_id');
}

export function waitingCommands(database: Database): ReturnType<Database['knex']> {
  return database
    .knex('s3_cloudbackup_run_commands')
    .where({ lane: 'worker', status: 'pending' })
    .where('expires_at', '>', database.now());
}

/**
 * Writes the answer, once. The payload, which may hold credentials, goes at the same time. False: it was answered, taken over or
 * has expired meanwhile.
 */
export async function completeCommand(
  database: Database,
  command: WorkerCommand,
  outcome: { ok: boolean; result: Readonly<Record<string, unknown>> },
): Promise<boolean> {
  const changed = await database
    .knex('s3_cloudbackup_run_commands')
    .where({ id: command.id, status: 'processing', claim_token: command.claimToken })
    .update({
      status: outcome.ok ? 'completed' : 'failed',
      result_json: JSON.stringify(outcome.result),
      payload_enc: null,
      processed_at: database.now(),
    });
  return changed > 0;
}

/** Ends what nobody took or answered in time, and forgets its payload. */
export async function expireCommands(database: Database): Promise<number> {
  return await database
    .knex('s3_cloudbackup_run_commands')
    .whereIn('status', ['pending', 'processing'])
    .where('expires_at', '<', database.now())
    .update({ status: 'expired', payload_enc: null, processed_at: database.now() });
}
