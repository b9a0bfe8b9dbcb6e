import type { ErrorCode } from '../errors/catalogue.ts';

/** What may be wrong whenever a restore point is read from its bucket. */
export const readingErrors: readonly ErrorCode[] = [
  'ERR_MANIFEST_INVALID',
  'ERR_KEY_UNKNOWN',
  'ERR_CRYPT_KEYS_MISSING',
  'ERR_SECRET_CORRUPT',
  'ERR_DEST_AUTH',
  'ERR_DEST_BUCKET_NOT_FOUND',
  'ERR_DEST_REFUSED',
  'ERR_S3_PREFLIGHT_NETWORK',
  'ERR_DECRYPT_DEST_ACCESS_KEY',
  'ERR_DECRYPT_DEST_SECRET_KEY',
  'ERR_CONFIG_INVALID',
];
