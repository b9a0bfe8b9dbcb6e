import { z } from 'zod';
import { DESTINATION_ENCODING } from './encoding.ts';
import { canonicalJson, sign, verifyMac, type MacKeys } from './mac.ts';
import type { OwnerMarker } from './types.ts';

const OwnerSchema = z.strictObject({
  format: z.literal(1),
  installation: z.string().min(1),
  database: z.string().min(1),
  job: z.string(),
  encoding: z.string(),
  key_id: z.string().regex(/^[0-9a-f]{8}$/),
  mac: z.string().regex(/^[0-9a-f]{64}$/),
});

/** Who this installation is. None of it is read from our own tables, so that a copied database does not pass for its original. */
export interface Ownership {
  /** The configured name of the installation. */
  readonly installation: string;
  /** Identity of the database server (or of SQLite's file). */
  readonly database: string;
  /** Further identities that are accepted: replicas, fail-over. */
  readonly acceptedDatabases: readonly string[];
  readonly job: string;
}

/** The marker's bytes: canonical JSON, signed with the current secret. */
export function ownerBytes(owner: Ownership, keys: MacKeys): Buffer {
  const marker = {
    format: 1 as const,
    installation: owner.installation,
    database: owner.database,
    job: owner.job,
    encoding: DESTINATION_ENCODING,
  };
  return Buffer.from(canonicalJson(sign(marker, owner.job, keys)), 'utf8');
}

export type OwnerVerdict =
  'ours' | 'unreadable' | 'unknown_key' | 'forged' | 'installation' | 'database' | 'job' | 'encoding';

/** Whether a prefix is this job's of this installation; otherwise what speaks against it. */
export function judgeOwner(bytes: Buffer, owner: Ownership, keys: MacKeys): OwnerVerdict {
  const marker = readOwner(bytes);
  if (marker === null) return 'unreadable';
  if (marker.job !== owner.job) return 'job';
  const mac = verifyMac(marker, marker.job, keys);
  if (mac !== 'valid') return mac;
  if (marker.installation !== owner.installation) return 'installation';
  if (marker.database !== owner.database && !owner.acceptedDatabases.includes(marker.database)) return 'database';
  return marker.encoding === DESTINATION_ENCODING ? 'ours' : 'encoding';
}

/** What a marker says, unverified; null when it is none. */
export function readOwner(bytes: Buffer): OwnerMarker | null {
  try {
    const parsed = OwnerSchema.safeParse(JSON.parse(bytes.toString('utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
