import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';

/**
 * The audit log's hash chain: each entry's hash covers the entry and the hash before it, so that an entry cannot be changed,
 * removed or slipped in without every later hash being wrong. Whoever can rewrite the whole table can also rewrite the chain:
 * keep the newest hash outside of the database (the verify function returns it) to notice that too.
 */
export interface AuditEntry {
  /** Time in the text form of the database, UTC. */
  readonly ts: string;
  readonly actorKind: 'client' | 'admin' | 'agent' | 'worker' | 'operator' | 'system';
  readonly actorId: string;
  readonly clientId: number | null;
  /** `job.created`, `prefix.adopted`, `kit.downloaded` … */
  readonly action: string;
  readonly targetKind: string | null;
  readonly targetId: string | null;
  /** JSON text exactly as stored, or null. Never holds secrets. */
  readonly paramsJson: string | null;
}

export interface ChainedAuditEntry extends AuditEntry {
  readonly id: number;
  readonly prevHash: string;
  readonly hash: string;
}

/** `prev_hash` of the first entry. */
export const CHAIN_START = '0'.repeat(64);

/** SHA-256 hex over RFC 8785 canonical JSON of the entry with its `prev`. */
export function auditHash(prevHash: string, entry: AuditEntry): string {
  const { ts, actorKind, actorId, clientId, action, targetKind, targetId, paramsJson } = entry;
  const covered = { prev: prevHash, ts, actorKind, actorId, clientId, action, targetKind, targetId, paramsJson };
  return createHash('sha256')
    .update(canonicalize(covered) ?? '')
    .digest('hex');
}

/** The first entry that breaks the chain, or null. `prevHash` is the hash before the first entry given. */
export function firstBrokenEntry(
  entries: readonly ChainedAuditEntry[],
  prevHash: string = CHAIN_START,
): ChainedAuditEntry | null {
  let expected = prevHash;
  for (const entry of entries) {
    if (entry.prevHash !== expected || entry.hash !== auditHash(expected, entry)) return entry;
    expected = entry.hash;
  }
  return null;
}
