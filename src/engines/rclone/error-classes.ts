import type { ErrorCode } from '../../errors/catalogue.ts';

/**
 * What stands at one end of a transfer: the same failure has another name, and another person to act, at each. Each source type brings
 * its own (`RemoteDefinition.side`).
 */
export interface Side {
  readonly kind: 'source' | 'storage' | 'local';
  /** Words that only this end uses; looked at before the common ones. */
  readonly words?: readonly (readonly [RegExp, FailureClass])[];
  /** What failures are called here, where that is not the usual. */
  readonly codes?: Readonly<Partial<Record<FailureClass, ErrorCode>>>;
}

/** The two ends of a transfer, by the names of their remotes. */
export interface Sides {
  readonly SRC: Side;
  readonly DST: Side;
}

export type FailureClass =
  | 'host_key'
  | 'key'
  | 'auth'
  /** An access token is refused that should still be good. */
  | 'token'
  /** The service gives this one file to nobody. */
  | 'withheld'
  | 'permission'
  | 'host_refused'
  | 'host_unknown'
  | 'refused'
  | 'tls'
  | 'bucket_missing'
  | 'rate_limit'
  | 'quota'
  | 'disk_full'
  | 'name_too_long'
  | 'not_found'
  | 'damaged'
  | 'archive_damaged'
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
  // Our own proxy (src/security/egress-proxy.ts) says so in its status line.
  [/e3 host not allowed/, 'host_refused'],
  [/e3 host unknown|no such host|server misbehaving|temporary failure in name resolution/i, 'host_unknown'],
  [/connection refused/i, 'refused'],
  [/e3 host unreachable/, 'network'],
  [/x509:|tls: |http: server gave HTTP response to HTTPS client/i, 'tls'],
  [
    /AccessDenied|StatusCode: 403|permission denied|read[- ]only file system|SSH_FX_PERMISSION_DENIED|\bForbidden\b/i,
    'permission',
  ],
  // Of crypt: the object is not what was encrypted.
  [
    /failed to authenticate decrypted block|not an encrypted file|too short to be encrypted|truncated block header/,
    'damaged',
  ],
  // Of our own endpoint (src/archive/member-server.ts).
  [/E3ArchiveDamaged/, 'archive_damaged'],
  [/directory not found|no such file|object not found|NoSuchKey|file does not exist|StatusCode: 404/i, 'not_found'],
  [
    /timeout|timed out|deadline exceeded|connection reset|connection lost|broken pipe|\bEOF\b|no route to host|network is unreachable|use of closed network|server closed|StatusCode: (?:0|408|5\d\d)/i,
    'network',
  ],
];

/** What a failure is called at a source, unless its type says otherwise. */
const usual: Readonly<Record<FailureClass, ErrorCode>> = {
  host_key: 'ERR_SFTP_HOST_KEY_CHANGED',
  key: 'ERR_SOURCE_CONFIG',
  auth: 'ERR_SOURCE_AUTH',
  token: 'ERR_SOURCE_TOKEN',
  withheld: 'ERR_FILE_WITHHELD',
  permission: 'ERR_PERMISSION',
  host_refused: 'HOST_NOT_ALLOWED',
  host_unknown: 'ERR_HOST_UNKNOWN',
  refused: 'ERR_CONNECTION_REFUSED',
  tls: 'ERR_TLS',
  bucket_missing: 'ERR_S3_BUCKET_NOT_FOUND',
  rate_limit: 'ERR_RATE_LIMIT',
  quota: 'ERR_QUOTA',
  disk_full: 'ERR_DISK_FULL',
  name_too_long: 'ERR_KEY_TOO_LONG',
  not_found: 'ERR_SOURCE_NOT_FOUND',
  damaged: 'ERR_RESTORE_MISMATCH',
  archive_damaged: 'ERR_ARCHIVE_DAMAGED',
  network: 'ERR_NETWORK',
};

/** Without a bucket, a listing of S3 finds no folder. */
export const MISSING_BUCKET: NonNullable<Side['words']> = [[/directory not found/, 'bucket_missing']];

/** The bucket that a job writes to: ours, so its failures are never the customer's to repair. */
export const storageSide: Side = {
  kind: 'storage',
  words: MISSING_BUCKET,
  codes: {
    auth: 'ERR_DEST_AUTH',
    permission: 'ERR_DEST_AUTH',
    host_unknown: 'ERR_S3_PREFLIGHT_NETWORK',
    refused: 'ERR_S3_PREFLIGHT_NETWORK',
    bucket_missing: 'ERR_DEST_BUCKET_NOT_FOUND',
    not_found: 'ERR_OBJECT_MISSING',
    network: 'ERR_S3_PREFLIGHT_NETWORK',
  },
};

/** This machine. */
export const localSide: Side = { kind: 'local', codes: { auth: 'ERR_PERMISSION' } };

/** Failures that concern every file: when they come again and again, going on is hopeless. */
const WHOLE: ReadonlySet<FailureClass> = new Set([
  'host_key',
  'key',
  'auth',
  'token',
  'host_refused',
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
  const side = sides[endOf(message)];
  const kind = [...(side.words ?? []), ...classes].find(([pattern]) => pattern.test(message))?.[1];
  if (kind === undefined) return { code: 'ERR_TRANSFER', whole: false };
  // A customer's file may be forbidden by itself; our storage forbids a key or allows it.
  const whole = WHOLE.has(kind) || (kind === 'permission' && side.kind === 'storage');
  return { code: side.codes?.[kind] ?? usual[kind], whole };
}

/** Steps of writing: requests of S3, those of services, and what the backends of file servers call them. */
const WRITES: readonly RegExp[] = [
  /S3: (?:PutObject|CreateMultipartUpload|UploadPart|CompleteMultipartUpload|AbortMultipartUpload|CopyObject|UploadPartCopy|CreateBucket)\b/,
  /\b(?:Put|Post|PUT|POST) "?https?:/,
  /\bupdate (?:stor|getinfo)\b|\bUpdate(?::| \w+ failed)|\bupdate failed:|\bfailed to open: /,
  /\bmkParentDir failed|\bmkdir(?::| "| dirExists)|\bfailed to make parent directories\b/,
];
/** Of a source, whatever its backend calls it further on. */
const READS = /\bfailed to open source object\b/;

/** Which end a message is about: rclone names the remote, or the request or step, of which only the destination's write. */
function endOf(message: string): keyof Sides {
  const named = /["'](SRC|DST)(?:CRYPT)?(?:\{[^}]*\})?:/.exec(message)?.[1];
  if (named !== undefined) return named as keyof Sides;
  return WRITES.some((pattern) => pattern.test(message)) && !READS.test(message) ? 'DST' : 'SRC';
}
