import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { BackupError } from '../errors/backup-error.ts';
import { HOST_LABEL, HOST_UUID, secretColumns, type SecretLabel } from './labels.ts';
import { openLegacy, parseLegacy, type LegacyShape } from './legacy.ts';

/**
 * Secrets at rest: `v2:<key id>:<base64(iv ‖ ciphertext ‖ tag)>`, AES-256-GCM. The key is derived from a configured secret by
 * HKDF-SHA-256; label and row uuid are authenticated, so a value opens only in the column and row it was sealed for.
 */
const VERSION = 'v2';
const IV_BYTES = 12;
const TAG_BYTES = 16;

interface Key {
  readonly id: string;
  readonly secret: string;
  readonly sealing: Buffer;
}

export type StoredForm =
  { readonly kind: 'v2'; readonly keyId: string } | { readonly kind: 'legacy' } | { readonly kind: 'unreadable' };

/** In which format a stored value is, judged by its shape alone; nothing is decrypted. */
export function storedForm(value: string): StoredForm {
  const sealed = parseSealed(value);
  if (sealed !== null) return { kind: 'v2', keyId: sealed.keyId };
  return parseLegacy(value) === null ? { kind: 'unreadable' } : { kind: 'legacy' };
}

/**
 * The configured secrets of this process. Writes with the first one, reads with whichever a value names. Never serialises: neither
 * JSON nor `util.inspect` shows anything but key ids.
 */
export class Secrets {
  readonly #keys: readonly Key[];
  readonly #byId: ReadonlyMap<string, Key>;

  /** @param candidates configured secrets, the one to write with first; at least one. */
  constructor(candidates: readonly string[]) {
    this.#keys = [...new Set(candidates)].filter((secret) => secret !== '').map(deriveKey);
    this.#byId = new Map(this.#keys.map((key) => [key.id, key]));
    if (this.#keys.length === 0) throw new BackupError('ERR_NO_ENCRYPTION_KEY');
  }

  /** The key that everything is written with. */
  get current(): { readonly keyId: string } {
    return { keyId: this.#currentKey().id };
  }

  /** Ids of all configured keys, the current one first. */
  get keyIds(): readonly string[] {
    return this.#keys.map((key) => key.id);
  }

  /** Encrypts for one column (`label`) of one row (`uuid`). */
  seal(label: SecretLabel, uuid: string, text: string): string {
    return seal(this.#currentKey(), label, uuid, text);
  }

  /**
   * Decrypts what `seal` wrote, or a value in the older format where the label's registry entry says one may be there.
   * @throws BackupError `ERR_KEY_UNKNOWN` (sealed with a key that is not configured), `ERR_SECRET_CORRUPT`.
   */
  open(label: SecretLabel, uuid: string, value: string): string {
    return this.#open(label, uuid, value, secretColumns[label].legacy);
  }

  /**
   * Decrypts a value of a host's row: the older format, or v2 under the host label. Plaintext is refused. The row is the host's:
   * it is never rewritten.
   * @throws BackupError `ERR_KEY_UNKNOWN`, `ERR_SECRET_CORRUPT`.
   */
  openHostOwned(value: string, shape: LegacyShape): string {
    return this.#open(HOST_LABEL, HOST_UUID, value, shape);
  }

  /** Seals for a host's row, for hosts that keep their keys as v2. */
  sealHostOwned(text: string): string {
    return seal(this.#currentKey(), HOST_LABEL, HOST_UUID, text);
  }

  /**
   * Key of the MAC over owner markers and manifests of one job.
   * @throws BackupError `ERR_KEY_UNKNOWN` when the secret of `keyId` is not configured.
   */
  layoutMacKey(keyId: string, jobUuid: string): Buffer {
    const key = this.#byId.get(keyId);
    if (key === undefined) throw new BackupError('ERR_KEY_UNKNOWN', undefined, { details: { keyId } });
    return derive(key.secret, `e3/layout-mac${jobUuid.toLowerCase()}`);
  }

  /** Keys for CSRF tokens: issue with the first, accept any, so that a change of the secret does not break open pages. */
  csrfKeys(): readonly [Buffer, ...Buffer[]] {
    const [first, ...rest] = this.#keys.map((key) => derive(key.secret, 'e3/csrf'));
    return [first ?? Buffer.alloc(0), ...rest];
  }

  csrfKey(): Buffer {
    return this.csrfKeys()[0];
  }

  toJSON(): { keyIds: readonly string[] } {
    return { keyIds: this.keyIds };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `Secrets(${this.keyIds.join(', ')})`;
  }

  #currentKey(): Key {
    const key = this.#keys[0];
    if (key === undefined) throw new BackupError('ERR_NO_ENCRYPTION_KEY');
    return key;
  }

  #open(label: string, uuid: string, value: string, legacy: LegacyShape | null): string {
    const sealed = parseSealed(value);
    if (sealed !== null) {
      const key = this.#byId.get(sealed.keyId);
      if (key === undefined) throw new BackupError('ERR_KEY_UNKNOWN', undefined, { details: { keyId: sealed.keyId } });
      return unseal(key, label, uuid, sealed.bytes);
    }
    if (legacy === null || parseLegacy(value) === null) throw new BackupError('ERR_SECRET_CORRUPT');
    for (const key of this.#keys) {
      const text = openLegacy(value, key.secret, legacy);
      if (text !== null) return text;
    }
    // Without a MAC a damaged value and a missing passphrase look alike; the missing passphrase is the likelier one.
    throw new BackupError('ERR_KEY_UNKNOWN');
  }
}

export interface SecretsInput {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Module settings of the host (HostRecords.settings()). */
  readonly settings?: ReadonlyMap<string, string>;
}

const ENV_NAMES = ['CLOUD_BACKUP_ENCRYPTION_KEY', 'CLOUD_STORAGE_ENCRYPTION_KEY', 'ENCRYPTION_KEY'];
const PREVIOUS_NAME = 'CLOUD_BACKUP_ENCRYPTION_KEY_PREVIOUS';
const SETTING_NAMES = ['cloudbackup_encryption_key', 'encryption_key'];

/**
 * The secrets of environment and module settings. Empty counts as unset. The first one set, in the order environment then settings,
 * is written with; all are read with, and so is each of the comma list `CLOUD_BACKUP_ENCRYPTION_KEY_PREVIOUS`.
 * @throws BackupError `ERR_NO_ENCRYPTION_KEY`
 */
export function loadSecrets(input: SecretsInput): Secrets {
  const configured = [
    ...ENV_NAMES.map((name) => input.env[name] ?? ''),
    ...SETTING_NAMES.map((name) => input.settings?.get(name) ?? ''),
  ].filter((secret) => secret !== '');
  if (configured.length === 0) throw new BackupError('ERR_NO_ENCRYPTION_KEY');
  // People write lists with a space after the comma; a secret may also begin with one.
  const previous = (input.env[PREVIOUS_NAME] ?? '').split(',').flatMap((secret) => [secret, secret.trim()]);
  return new Secrets([...configured, ...previous]);
}

function deriveKey(secret: string): Key {
  const sealing = derive(secret, 'e3/envelope');
  return { id: createHash('sha256').update(sealing).digest('hex').slice(0, 8), secret, sealing };
}

function derive(secret: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', purpose, 32));
}

function authenticated(label: string, uuid: string): Buffer {
  return Buffer.from(`${label}:${uuid.toLowerCase()}`, 'utf8');
}

function seal(key: Key, label: string, uuid: string, text: string): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key.sealing, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(authenticated(label, uuid));
  const bytes = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `${VERSION}:${key.id}:${bytes.toString('base64')}`;
}

function unseal(key: Key, label: string, uuid: string, bytes: Buffer): string {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key.sealing, bytes.subarray(0, IV_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(authenticated(label, uuid));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    const text = Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
    return text.toString('utf8');
  } catch (cause) {
    throw new BackupError('ERR_SECRET_CORRUPT', undefined, { cause });
  }
}

function parseSealed(value: string): { keyId: string; bytes: Buffer } | null {
  const match = /^v2:([0-9a-f]{8}):([A-Za-z0-9+/]+={0,2})$/.exec(value);
  if (match === null) return null;
  const bytes = Buffer.from(match[2] ?? '', 'base64');
  return bytes.length < IV_BYTES + TAG_BYTES ? null : { keyId: match[1] ?? '', bytes };
}
