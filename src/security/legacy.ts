import { createCipheriv, createDecipheriv } from 'node:crypto';

/**
 * The older format, which hosts still write: `base64(IV ‖ AES-256-CBC)`, PKCS#7, the raw passphrase zero-padded or cut to 32 bytes, no MAC. A wrong
 * passphrase yields valid padding once in 256 times, so nothing is accepted that does not look like what it should be.
 */
export type LegacyShape = 'json' | 's3-key' | 'token';

const shapes: Readonly<Record<LegacyShape, (text: string) => boolean>> = {
  json: isJsonObject,
  's3-key': (text) => /^[\x21-\x7e]{3,128}$/.test(text),
  token: (text) => /^[\x21-\x7e]{10,4096}$/.test(text) || isJsonObject(text),
};

const IV_BYTES = 16;
const BLOCK_BYTES = 16;

/** IV and ciphertext of a well-formed legacy value, else null. */
export function parseLegacy(value: string): { iv: Buffer; ciphertext: Buffer } | null {
  const compact = value.trim();
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(compact) || compact.length % 4 !== 0) return null;
  const bytes = Buffer.from(compact, 'base64');
  if (bytes.length < IV_BYTES + BLOCK_BYTES || bytes.length % BLOCK_BYTES !== 0) return null;
  return { iv: bytes.subarray(0, IV_BYTES), ciphertext: bytes.subarray(IV_BYTES) };
}

/** Plaintext of a legacy value, or null when this passphrase does not open it to something of the given shape. */
export function openLegacy(value: string, passphrase: string, shape: LegacyShape): string | null {
  const parsed = parseLegacy(value);
  if (parsed === null) return null;
  const text = decrypt(parsed, legacyKey(passphrase));
  return text !== null && shapes[shape](text) ? text : null;
}

/**
 * Writes the older format, which a host's own code can go on reading. Only host adapters that create key rows use it
 * (the demo host does); our own columns are always sealed as v2.
 */
export function sealLegacy(text: string, passphrase: string, iv: Buffer): string {
  const cipher = createCipheriv('aes-256-cbc', legacyKey(passphrase), iv);
  return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final()]).toString('base64');
}

function legacyKey(passphrase: string): Buffer {
  const key = Buffer.alloc(32);
  Buffer.from(passphrase, 'utf8').copy(key, 0, 0, 32);
  return key;
}

function decrypt(parsed: { iv: Buffer; ciphertext: Buffer }, key: Buffer): string | null {
  try {
    const decipher = createDecipheriv('aes-256-cbc', key, parsed.iv);
    const bytes = Buffer.concat([decipher.update(parsed.ciphertext), decipher.final()]);
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function isJsonObject(text: string): boolean {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null;
  } catch {
    return false;
  }
}
