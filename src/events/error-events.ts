import { z } from 'zod';
import { catalogue as errors, type ErrorCode } from '../errors/catalogue.ts';
import { define } from './define.ts';

const cause = z.object({ kind: z.string().max(128).optional(), detail_code: z.string().max(128).optional() });

/** The catalogue's sentences for a known error code, else the general text of this class of errors. */
function failure(general: string) {
  return define(
    'error',
    'error',
    cause,
    (params) => {
      const error = errors[params.detail_code as ErrorCode] as { what: string; action: string } | undefined;
      return error ? `${error.what} ${error.action}` : general;
    },
    (params) => params.detail_code,
  );
}

export const errorEvents = {
  ERROR_AUTH: failure('Authentication failed. Check credentials or re-authorize the connection.'),
  ERROR_PERMISSION: failure('Permission denied on source or destination path.'),
  ERROR_NOT_FOUND: failure('Path not found at source.'),
  ERROR_NETWORK: failure('Network issue communicating with storage — retrying…'),
  ERROR_RATE_LIMIT: failure('Provider rate limited requests — backing off and retrying…'),
  ERROR_QUOTA: failure('Storage provider quota exceeded.'),
  ERROR_INTERNAL: failure('Unexpected error — our team has been notified.'),
};

const classes: Readonly<Partial<Record<ErrorCode, keyof typeof errorEvents>>> = {
  ERR_S3_AUTH: 'ERROR_AUTH',
  ERR_SFTP_AUTH: 'ERROR_AUTH',
  ERR_DEST_AUTH: 'ERROR_AUTH',
  ERR_SFTP_HOST_KEY_CHANGED: 'ERROR_AUTH',
  ERR_PERMISSION: 'ERROR_PERMISSION',
  ERR_S3_BUCKET_NOT_FOUND: 'ERROR_NOT_FOUND',
  ERR_DEST_BUCKET_NOT_FOUND: 'ERROR_NOT_FOUND',
  ERR_SOURCE_NOT_FOUND: 'ERROR_NOT_FOUND',
  ERR_SOURCE_EMPTY: 'ERROR_NOT_FOUND',
  ERR_S3_PREFLIGHT_NETWORK: 'ERROR_NETWORK',
  ERR_HOST_UNKNOWN: 'ERROR_NETWORK',
  ERR_CONNECTION_REFUSED: 'ERROR_NETWORK',
  ERR_NETWORK: 'ERROR_NETWORK',
  ERR_TLS: 'ERROR_NETWORK',
  ERR_RATE_LIMIT: 'ERROR_RATE_LIMIT',
  ERR_QUOTA: 'ERROR_QUOTA',
};

/** The event that tells of an error code: `ERR_S3_AUTH` → `ERROR_AUTH`; what has no class of its own is `ERROR_INTERNAL`. */
export function errorEventId(code: string): keyof typeof errorEvents {
  return classes[code as ErrorCode] ?? 'ERROR_INTERNAL';
}
