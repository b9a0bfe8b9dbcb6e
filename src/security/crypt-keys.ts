import { z } from 'zod';
import { newCryptPasswords, type CryptPasswords } from '../crypt/job-cipher.ts';
import { BackupError } from '../errors/backup-error.ts';
import type { WrappedKeys } from '../layout/crypt-keys.ts';
import type { Secrets } from './envelope.ts';

const LABEL = 'backup-key.value';
const Passwords = z.strictObject({ password: z.string().min(1), password2: z.string().min(1) });

/** New passwords for a job, wrapped at once. @param key uuid of their row */
export function newWrappedKeys(secrets: Secrets, key: string): WrappedKeys {
  return wrapKeys(secrets, { key, version: 1 }, newCryptPasswords());
}

export function wrapKeys(
  secrets: Secrets,
  { key, version }: Pick<WrappedKeys, 'key' | 'version'>,
  passwords: CryptPasswords,
): WrappedKeys {
  return { key, version, value: secrets.seal(LABEL, key, JSON.stringify(passwords)) };
}

/** @throws BackupError `ERR_KEY_UNKNOWN`, `ERR_SECRET_CORRUPT` */
export function unwrapKeys(secrets: Secrets, { key, value }: WrappedKeys): CryptPasswords {
  const text = secrets.open(LABEL, key, value);
  try {
    return Passwords.parse(JSON.parse(text));
  } catch (cause) {
    throw new BackupError('ERR_SECRET_CORRUPT', undefined, { cause });
  }
}
