import type { Response } from 'express';
import { createHash } from 'node:crypto';
import { isUnreachable } from '../database/connect.ts';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import type { ErrorCode } from '../errors/catalogue.ts';

/** The body of every refusal. `details` of the error (such as `fields`) stand beside these. */
export interface FailBody {
  readonly status: 'fail';
  readonly message: string;
  readonly code: ErrorCode;
  /** Only on failures of ours (5xx), for the support team; the header X-Request-Id always has it. */
  readonly request_id?: string;
}

/** What a failure looks like from outside. Anything that is not a BackupError is INTERNAL: its text stays in the log. */
export function asPublicError(error: unknown): BackupError {
  if (isBackupError(error)) return error;
  if (isUnreachable(error)) return new BackupError('ERR_DATABASE_UNREACHABLE', undefined, { cause: error });
  const tooLarge = statusOf(error) === 413;
  if (tooLarge) return new BackupError('BODY_TOO_LARGE', undefined, { cause: error });
  // What the body parsers throw: bad JSON, an unknown charset, a body that was cut off.
  if (isParserError(error)) return new BackupError('BAD_REQUEST', undefined, { cause: error });
  return new BackupError('INTERNAL', undefined, { cause: error });
}

export function failBody(error: BackupError, requestId: string): FailBody {
  return {
    ...error.details,
    status: 'fail',
    message: error.message,
    code: error.code,
    ...(error.httpStatus >= 500 ? { request_id: requestId } : {}),
  };
}

export function sendSuccess(response: Response, body: Readonly<Record<string, unknown>>): void {
  response.status(200).json({ status: 'success', ...body });
}

export function sendFailure(response: Response, error: BackupError, requestId: string): void {
  response.status(error.httpStatus).json(failBody(error, requestId));
}

/** As `sendSuccess`, or 304 when the reader has exactly this. */
export function sendUnlessKnown(
  response: Response,
  body: Readonly<Record<string, unknown>>,
  ifNoneMatch: string | undefined,
): void {
  const text = JSON.stringify({ status: 'success', ...body });
  const etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 27)}"`;
  response.set('ETag', etag);
  if (ifNoneMatch?.split(',').some((known) => known.trim().replace(/^W\//, '') === etag)) {
    response.status(304).end();
    return;
  }
  response.status(200).type('json').send(text);
}

function isParserError(error: unknown): boolean {
  const status = statusOf(error);
  return status !== undefined && status >= 400 && status < 500;
}

function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : undefined;
}
