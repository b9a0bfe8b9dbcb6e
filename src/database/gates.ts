import type { Executor } from './connect.ts';

export type GateScope = 'global' | 'audit' | `bucket:${number}`;

/**
 * Passes through gates: a transaction that updates a gate's row cannot commit beside another one that did. Call it first
 * in the transaction; what is read after it is exact. Gates are made on first use.
 */
export async function passGates(trx: Executor, scopes: readonly GateScope[]): Promise<void> {
  // Always in the same order: two transactions never wait for each other crosswise.
  const wanted = [...new Set(scopes)].sort();
  const passed = await trx('s3_cloudbackup_gates')
    .whereIn('scope', wanted)
    .update({ version: trx.raw('version + 1') });
  if (passed === wanted.length) return;
  for (const scope of wanted) {
    await trx('s3_cloudbackup_gates').insert({ scope, version: 0 }).onConflict('scope').ignore();
  }
  await trx('s3_cloudbackup_gates')
    .whereIn('scope', wanted)
    .update({ version: trx.raw('version + 1') });
}
