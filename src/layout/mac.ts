import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import canonicalize from 'canonicalize';

/** One configured secret, as far as the layout needs it. */
export interface MacKey {
  /** First 8 hex digits of SHA-256 of the envelope key that is derived from the same secret. */
  readonly keyId: string;
  /** The key of one job: HKDF-SHA-256 of the secret, no salt, info `e3/layout-mac` ‖ job uuid, 32 bytes. */
  derive(jobUuid: string): Buffer;
}

/** The configured secrets: `current` signs; `byId` also finds former ones, so that what they signed is still accepted. */
export interface MacKeys {
  readonly current: MacKey;
  byId(keyId: string): MacKey | null;
}

/** A secret with its key id, newest first in lists. */
export interface PlainSecret {
  readonly keyId: string;
  readonly secret: string;
}

/** The port on plain secrets; the first one signs. Throws TypeError when there is none. */
export function macKeysOf(secrets: readonly PlainSecret[]): MacKeys {
  const keys = secrets.map(macKeyOf);
  const current = keys[0];
  if (current === undefined) throw new TypeError('macKeysOf needs at least one secret');
  return { current, byId: (keyId) => keys.find((key) => key.keyId === keyId) ?? null };
}

function macKeyOf({ keyId, secret }: PlainSecret): MacKey {
  return {
    keyId,
    derive: (jobUuid) => Buffer.from(hkdfSync('sha256', secret, '', `e3/layout-mac${jobUuid}`, 32)),
  };
}

/** RFC 8785 canonical JSON. Throws TypeError for what JSON cannot hold. */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('not a JSON value');
  return text;
}

/** HMAC-SHA-256 in hex over the canonical JSON of `document` without its `mac`. */
export function macOf(document: object, key: Buffer): string {
  const { mac: _, ...rest } = document as { mac?: unknown };
  return createHmac('sha256', key).update(canonicalJson(rest)).digest('hex');
}

/** Signs `document` with the current secret: adds `key_id` and `mac`. */
export function sign<T extends object>(document: T, job: string, keys: MacKeys): T & { key_id: string; mac: string } {
  const unsigned = { ...document, key_id: keys.current.keyId };
  return { ...unsigned, mac: macOf(unsigned, keys.current.derive(job)) };
}

export type MacVerdict = 'valid' | 'unknown_key' | 'forged';

/** Whether a document was signed for this job with one of the configured secrets. Compares in constant time. */
export function verifyMac(
  document: { readonly key_id: string; readonly mac: string },
  job: string,
  keys: MacKeys,
): MacVerdict {
  const key = keys.byId(document.key_id);
  if (key === null) return 'unknown_key';
  const expected = Buffer.from(macOf(document, key.derive(job)), 'hex');
  const given = Buffer.from(document.mac, 'hex');
  return given.length === expected.length && timingSafeEqual(given, expected) ? 'valid' : 'forged';
}
