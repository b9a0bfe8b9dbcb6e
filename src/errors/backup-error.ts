import { catalogue, type ErrorCode } from './catalogue.ts';

/**
 * The one error class of this package. `code` is stable and documented in docs/troubleshooting.md; `message` is a sentence for
 * the person who reads it (what happened and what to do); `cause` is for the log only and never leaves the process.
 */
export class BackupError extends Error {
  readonly code: ErrorCode;
  /** Machine-readable details that may be shown to the customer: never secrets, hosts or paths of the operator's machines. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message?: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    const entry = catalogue[code];
    super(message ?? `${entry.what} ${entry.action}`, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'BackupError';
    this.code = code;
    this.details = options.details ?? {};
  }

  /** HTTP status that the API answers with for this code. */
  get httpStatus(): number {
    return catalogue[this.code].status ?? 500;
  }
}

/** True when `error` is a BackupError, with one of the given codes if any are given. */
export function isBackupError(error: unknown, ...codes: ErrorCode[]): error is BackupError {
  return error instanceof BackupError && (codes.length === 0 || codes.includes(error.code));
}
