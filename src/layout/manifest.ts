import { z } from 'zod';
import { BackupError } from '../errors/backup-error.ts';
import { isPath } from './encoding.ts';
import { isUuid, manifestKey, parseClaimName, parseKey } from './keys.ts';
import { canonicalJson, sign, verifyMac, type MacKeys } from './mac.ts';
import { compareUtf8 } from './order.ts';
import type { Manifest } from './types.ts';

const Uuid = z.string().refine(isUuid, 'not a uuid');
const Count = z.int().nonnegative();
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const ClaimName = z.string().refine((name) => parseClaimName(name) !== null, 'not a claim name');
const keyOfKind = (kind: string) =>
  z.string().refine((key) => parseKey(key)?.kind === kind, `not the key of a ${kind}`);

const ManifestSchema = z
  .strictObject({
    format: z.literal(1),
    job: Uuid,
    run: Uuid,
    claim: ClaimName,
    generation: z.int().positive(),
    parent: z.strictObject({ key: keyOfKind('manifest'), sha256: Sha256 }).nullable(),
    created_at: z.iso.datetime({ precision: 3 }),
    source_type: z.string().regex(/^[a-z0-9_]{1,64}$/),
    complete: z.boolean(),
    frozen: z.boolean(),
    files: Count,
    bytes: Count,
    stored: Count,
    carried: Count,
    failed: Count,
    chunks: z.array(
      z.strictObject({
        key: keyOfKind('chunk'),
        first_path: z.string().refine(isPath, 'not a path'),
        entries: z.int().positive(),
      }),
    ),
    key_id: z.string().regex(/^[0-9a-f]{8}$/),
    mac: Sha256,
  })
  .superRefine((manifest, context) => {
    const entries = manifest.chunks.reduce((sum, chunk) => sum + chunk.entries, 0);
    if (entries !== manifest.files) context.addIssue('the chunks do not hold as many entries as there are files');
    if (manifest.stored + manifest.carried + manifest.failed !== manifest.files) {
      context.addIssue('stored, carried and failed do not add up to files');
    }
    const sorted = manifest.chunks.every((chunk, i) => {
      const before = manifest.chunks[i - 1];
      return before === undefined || compareUtf8(before.first_path, chunk.first_path) < 0;
    });
    if (!sorted) context.addIssue('the chunks are not in order');
  });

/** The manifest's bytes: canonical JSON, signed with the current secret. */
export function manifestBytes(manifest: Omit<Manifest, 'key_id' | 'mac'>, keys: MacKeys): Buffer {
  return Buffer.from(canonicalJson(sign(manifest, manifest.job, keys)), 'utf8');
}

/**
 * Reads a manifest that lies at `key` (relative to the prefix of `job`) and holds it to its form, its name and its MAC. Of bytes that are known to
 * be those that were committed, the MAC proves nothing more: they are read also when the secret that signed them was lost.
 * @throws BackupError `ERR_MANIFEST_INVALID`, or `ERR_KEY_UNKNOWN` when the secret that signed it is not configured.
 */
export function parseManifest(
  bytes: Buffer,
  place: { readonly key: string; readonly job: string; readonly committed?: boolean },
  keys: MacKeys,
): Manifest {
  const parsed = ManifestSchema.safeParse(jsonOf(bytes, place.key));
  if (!parsed.success) throw invalid(place.key, z.prettifyError(parsed.error));
  const manifest = parsed.data;
  if (manifest.job !== place.job || manifestKey(manifest.run, manifest.claim) !== place.key) {
    throw invalid(place.key, 'it is the manifest of something else');
  }
  const verdict = verifyMac(manifest, place.job, keys);
  if (verdict === 'unknown_key' && place.committed !== true) {
    throw new BackupError('ERR_KEY_UNKNOWN', undefined, { details: { keyId: manifest.key_id } });
  }
  if (verdict === 'forged') throw invalid(place.key, 'its MAC is wrong');
  return manifest;
}

function jsonOf(bytes: Buffer, key: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw invalid(key, 'it is not JSON', cause);
  }
}

/** The error for a manifest or chunk that does not hold what it must. `key` is relative to the job's prefix. */
export function invalid(key: string, reason: string, cause?: unknown): BackupError {
  return new BackupError('ERR_MANIFEST_INVALID', undefined, { cause, details: { key, reason } });
}
