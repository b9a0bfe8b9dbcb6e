import type { ErrorCode } from '../../errors/catalogue.ts';

/** What stands at one end of a transfer; the same failure has another name, and another person to act, at each. */
export type Side = 's3_source' | 'sftp_source' | 'storage' | 'local';

/** The two ends of a transfer, by the names of their remotes. */
export interface Sides {
  readonly SRC: Side;
  readonly DST: Side;
}

type FailureClass =
  | 'host_key'
  | 'key'
  | 'auth'
  | 'permission'
  | 'host_unknown'
  | 'refused'
  | 'tls'
  | 'bucket_missing'
  | 'rate_limit'
  | 'quota'
  | 'disk_full'
  | 'name_too_long'
  | 'not_found'
  | 'network';

/**
 * rclone's words → what happened; the first line that matches counts. Held to logs that were recorded from the real program against
 * real servers that failed (test/fixtures/rclone-logs).
 */
const classes: readonly (readonly [RegExp, FailureClass])[] = [
  [
    /host key mismatch|knownhosts: key|no key is pinned|ssh: handshake failed:.*no common algorithm for host key/i,
    'host_key',
  ],
  [
    /failed to parse private key|failed to (?:parse|decode) key_pem|passphrase protected|x509: decryption password/i,
    'key',
  ],
  [/unable to authenticate|no supported methods remain/i, 'auth'],
  [
    /InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSecurity|AuthorizationHeaderMalformed|ExpiredToken|InvalidToken|RequestTimeTooSkewed|StatusCode: 401/,
    'auth',
  ],
  [/NoSuchBucket|PermanentRedirect|StatusCode: 301/, 'bucket_missing'],
  [/QuotaExceeded|(?<!retry )quota (?:has been )?exceeded|StatusCode: 507/i, 'quota'],
  [/no space left on device/i, 'disk_full'],
  [/KeyTooLong|file name too long|name too long/i, 'name_too_long'],
  [/SlowDown|TooManyRequests|RequestLimitExceeded|rate limit|StatusCode: 429/i, 'rate_limit'],
  [/no such host|server misbehaving|temporary failure in name resolution/i, 'host_unknown'],
  [/connection refused/i, 'refused'],
  [/x509:|tls: |http: server gave HTTP response to HTTPS client/i, 'tls'],
  [
    /AccessDenied|StatusCode: 403|permission denied|read[- ]only file system|SSH_FX_PERMISSION_DENIED|\bForbidden\b/i,
    'permission',
  ],
  [/directory not found|no such file|object not found|NoSuchKey|file does not exist|StatusCode: 404/i, 'not_found'],
  [
    /timeout|timed out|deadline exceeded|connection reset|connection lost|broken pipe|\bEOF\b|no route to host|network is unreachable|use of closed network|server closed|StatusCode: (?:0|408|5\d\d)/i,
    'network',
  ],
];

/** Who it concerns. `storage` is ours, so its failures are never the customer's to repair. */
const codes: Readonly<Record<FailureClass, Readonly<Record<Side, ErrorCode>>>> = {
  host_key: every('ERR_SFTP_HOST_KEY_CHANGED'),
  key: every('ERR_SOURCE_CONFIG'),
  auth: { s3_source: 'ERR_S3_AUTH', sftp_source: 'ERR_SFTP_AUTH', storage: 'ERR_DEST_AUTH', local: 'ERR_PERMISSION' },
  permission: { ...every('ERR_PERMISSION'), storage: 'ERR_DEST_AUTH' },
  host_unknown: { ...every('ERR_HOST_UNKNOWN'), storage: 'ERR_S3_PREFLIGHT_NETWORK' },
  refused: { ...every('ERR_CONNECTION_REFUSED'), storage: 'ERR_S3_PREFLIGHT_NETWORK' },
  tls: every('ERR_TLS'),
  bucket_missing: { ...every('ERR_S3_BUCKET_NOT_FOUND'), storage: 'ERR_DEST_BUCKET_NOT_FOUND' },
  rate_limit: every('ERR_RATE_LIMIT'),
  quota: every('ERR_QUOTA'),
  disk_full: every('ERR_DISK_FULL'),
  name_too_long: every('ERR_KEY_TOO_LONG'),
  not_found: { ...every('ERR_SOURCE_NOT_FOUND'), storage: 'ERR_OBJECT_MISSING' },
  network: { ...every('ERR_NETWORK'), storage: 'ERR_S3_PREFLIGHT_NETWORK' },
};

/** Failures that concern every file: when they come again and again, going on is hopeless. */
const WHOLE: ReadonlySet<FailureClass> = new Set([
  'host_key',
  'key',
  'auth',
  'host_unknown',
  'refused',
  'tls',
  'bucket_missing',
  'quota',
  'disk_full',
  'network',
]);

export interface Classified {
  readonly code: ErrorCode;
  /** Concerns the connection, not this file. */
  readonly whole: boolean;
}

/** The class of a message of rclone's; `ERR_TRANSFER` when it says nothing that we know. */
export function classify(message: string, sides: Sides): Classified {
  const found = classes.find(([pattern]) => pattern.test(message))?.[1];
  if (found === undefined) return { code: 'ERR_TRANSFER', whole: false };
  const side = sides[endOf(message)];
  // Without a bucket, a listing of S3 finds no folder.
  const missingBucket = found === 'not_found' && /directory not found/.test(message) && side !== 'sftp_source';
  const kind = missingBucket && side !== 'local' ? 'bucket_missing' : found;
  // A customer's file may be forbidden by itself; our storage forbids a key or allows it.
  const whole = WHOLE.has(kind) || (kind === 'permission' && side === 'storage');
  return { code: codes[kind][side], whole };
}

const WRITES =
  /S3: (?:PutObject|CreateMultipartUpload|UploadPart|CompleteMultipartUpload|AbortMultipartUpload|CopyObject|UploadPartCopy|CreateBucket)\b|\b(?:Put|Post|PUT|POST) "?https?:/;

/** Which end a message is about: rclone names the remote, or the request, of which only the destination's write. */
function endOf(message: string): keyof Sides {
  const named = /"(SRC|DST)(?:\{[^}]*\})?:/.exec(message)?.[1];
  if (named !== undefined) return named as keyof Sides;
  return WRITES.test(message) ? 'DST' : 'SRC';
}

function every(code: ErrorCode): Record<Side, ErrorCode> {
  return { s3_source: code, sftp_source: code, storage: code, local: code };
}
