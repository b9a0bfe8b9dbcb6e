import { BackupError } from '../../errors/backup-error.ts';
import type { ErrorCode } from '../../errors/catalogue.ts';

/** An answer other than success, or none at all, as the wire gave it. Stays inside of this folder. */
export class S3Failure extends Error {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** S3's error code (`NoSuchKey`), or the system's (`ECONNREFUSED`); empty when there was none. */
  readonly code: string;
  /** What the server asks us to wait, if it does. */
  readonly retryAfterMs: number | null;

  constructor(
    status: number,
    code: string,
    message: string,
    options: { retryAfterMs?: number | null; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'S3Failure';
    this.status = status;
    this.code = code;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}

/** The object (not the bucket) is missing. A 404 without S3's code comes from something else, a proxy for one: no reason to think so. */
export function isMissingObject(error: unknown): boolean {
  return error instanceof S3Failure && error.status === 404 && error.code === 'NoSuchKey';
}

/** The server does not know this operation or parameter. */
export function isUnsupported(error: unknown): boolean {
  return (
    error instanceof S3Failure &&
    (error.status === 501 ||
      error.status === 405 ||
      error.code === 'NotImplemented' ||
      error.code === 'InvalidArgument')
  );
}

const RETRIED_CODES = new Set([
  'SlowDown',
  'RequestTimeout',
  'InternalError',
  'ServiceUnavailable',
  'OperationAborted',
  'BadDigest',
  'IncompleteBody',
  'TooManyRequests',
  'ThrottlingException',
]);

/** Another attempt may succeed. Every request of this client is idempotent, so it is also safe after an answer was lost. */
export function isWorthRetrying(failure: S3Failure): boolean {
  if (failure.status === 0) return !isCertificateProblem(failure.code) && failure.code !== 'HOST_NOT_ALLOWED';
  return (
    failure.status === 408 ||
    failure.status === 429 ||
    (failure.status >= 500 && failure.status !== 501) ||
    RETRIED_CODES.has(failure.code)
  );
}

/** What the rest of the package sees. */
export function toBackupError(error: unknown): unknown {
  if (!(error instanceof S3Failure)) return error;
  return new BackupError(codeOf(error), undefined, {
    cause: error,
    details: {
      ...(error.status === 0 ? {} : { status: error.status }),
      ...(error.code === '' ? {} : { reason: error.code }),
    },
  });
}

function codeOf(failure: S3Failure): ErrorCode {
  if (failure.status === 0) return isCertificateProblem(failure.code) ? 'ERR_TLS' : 'ERR_S3_PREFLIGHT_NETWORK';
  if (failure.code === 'NoSuchBucket') return 'ERR_DEST_BUCKET_NOT_FOUND';
  if (failure.code === 'KeyTooLongError' || failure.code === 'KeyTooLong') return 'ERR_KEY_TOO_LONG';
  if (/quota/i.test(failure.code) || failure.status === 507) return 'ERR_QUOTA';
  if (failure.code === 'SlowDown' || failure.status === 429) return 'ERR_RATE_LIMIT';
  if (failure.status === 401 || failure.status === 403) return 'ERR_DEST_AUTH';
  if (
    failure.status === 400 &&
    /^(?:AccessDenied|SignatureDoesNotMatch|InvalidAccessKeyId|AuthorizationHeaderMalformed|InvalidToken|ExpiredToken)$/.test(
      failure.code,
    )
  ) {
    return 'ERR_DEST_AUTH';
  }
  if (failure.code === 'MalformedAnswer') return 'ERR_DEST_REFUSED';
  if (failure.status === 408 || (failure.status >= 500 && failure.status !== 501)) return 'ERR_S3_PREFLIGHT_NETWORK';
  return 'ERR_DEST_REFUSED';
}

function isCertificateProblem(code: string): boolean {
  return /^(?:CERT_|ERR_TLS_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET_ISSUER)|HOSTNAME_MISMATCH|ERR_SSL_)/.test(
    code,
  );
}
