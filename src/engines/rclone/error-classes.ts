import type { ErrorCode } from '../../errors/catalogue.ts';

/**
 * rclone's words → our error codes; the first line that matches counts. Tested with logs recorded from real failures
 * (test/fixtures/rclone-logs).
 */
const classes: readonly (readonly [RegExp, ErrorCode])[] = [
  [
    /knownhosts: key (mismatch|is unknown)|host key (mismatch|verification failed)|ssh: .*host key/i,
    'ERR_SFTP_HOST_KEY_CHANGED',
  ],
  [
    /unable to authenticate|ssh: handshake failed: .*auth|no supported methods remain|ssh: this private key is passphrase protected|failed to parse private key/i,
    'ERR_SFTP_AUTH',
  ],
  [/no such host|server misbehaving|name resolution|lookup .* on .*:53/i, 'ERR_HOST_UNKNOWN'],
  [/connection refused/i, 'ERR_CONNECTION_REFUSED'],
  [/x509:|tls: |certificate/i, 'ERR_TLS'],
  [
    /InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSecurity|AuthorizationHeaderMalformed|ExpiredToken|InvalidToken|StatusCode: 401/i,
    'ERR_S3_AUTH',
  ],
  [/NoSuchBucket|bucket does not exist/i, 'ERR_S3_BUCKET_NOT_FOUND'],
  [/SlowDown|TooManyRequests|rate limit|RequestLimitExceeded|StatusCode: 429/i, 'ERR_RATE_LIMIT'],
  [/QuotaExceeded|quota exceeded|EntityTooLarge.*quota/i, 'ERR_QUOTA'],
  [/no space left on device|disk full/i, 'ERR_DISK_FULL'],
  [/AccessDenied|StatusCode: 403|permission denied|Forbidden|SSH_FX_PERMISSION_DENIED/i, 'ERR_PERMISSION'],
  [
    /directory not found|no such file|object not found|NoSuchKey|file does not exist|StatusCode: 404/i,
    'ERR_SOURCE_NOT_FOUND',
  ],
  [
    /i\/o timeout|timeout|deadline exceeded|connection reset|broken pipe|unexpected EOF|\bEOF\b|no route to host|network is unreachable|use of closed network|connection lost|StatusCode: 5\d\d/i,
    'ERR_NETWORK',
  ],
];

/** The class of a message of rclone's; `ERR_TRANSFER` when it says nothing that we know. */
export function classify(message: string): ErrorCode {
  return classes.find(([pattern]) => pattern.test(message))?.[1] ?? 'ERR_TRANSFER';
}
