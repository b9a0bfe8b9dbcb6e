import { BackupError } from '../errors/backup-error.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import type { HostRecords } from '../host/port.ts';
import type { Secrets } from '../security/envelope.ts';
import type { BucketAccess } from './port.ts';

/** What a process configures itself instead of the module settings (`destination:` of the worker). Empty counts as unset. */
export interface DestinationOverride {
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  readonly provider?: string | undefined;
}

export interface DestinationSettings {
  readonly endpoint: string;
  readonly region: string;
  /** rclone's name of the dialect. */
  readonly provider: string;
}

export interface DestinationRequest {
  readonly clientId: number;
  readonly bucketId: number;
  /** The name that was fixed when the job was made; a bucket of the same number and another name is not the job's. */
  readonly bucketName?: string;
}

const DEFAULT_REGION = 'us-east-1';
/** The store that the product was made for; `s3_provider` names another. */
const DEFAULT_PROVIDER = 'Ceph';

/**
 * Where the host's destination storage is: the module settings `s3_endpoint`, `s3_region`, `s3_provider`, each overridden by configuration.
 * An endpoint without a scheme is https. On AWS the endpoint may be left out.
 * @throws BackupError `ERR_CONFIG_INVALID`
 */
export function destinationSettings(
  settings: ReadonlyMap<string, string>,
  override: DestinationOverride = {},
): DestinationSettings {
  const given = (override.endpoint || settings.get('s3_endpoint') || '').trim();
  const region = (override.region || settings.get('s3_region') || DEFAULT_REGION).trim();
  const named = (override.provider || settings.get('s3_provider') || '').trim();
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(given) ? given : `https://${given}`;
  const provider = named || (isAws(url) ? 'AWS' : DEFAULT_PROVIDER);
  if (given === '' && provider === 'AWS') return { endpoint: '', region, provider };
  const parsed = URL.parse(url);
  if (given === '' || parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.username || parsed.password) {
    throw new BackupError(
      'ERR_CONFIG_INVALID',
      'The endpoint of the destination storage is missing or is not an http or https address. Set s3_endpoint in the module settings, or destination.endpoint in the configuration.',
    );
  }
  return { endpoint: url.replace(/\/+$/, ''), region, provider };
}

/**
 * One bucket of one client with the newest keys of the account that owns it, decrypted. The value lives in memory only.
 * @throws BackupError `ERR_DEST_BUCKET_NOT_FOUND` (gone, not active, or another client's), `ERR_DECRYPT_DEST_ACCESS_KEY`,
 *   `ERR_DECRYPT_DEST_SECRET_KEY`, `ERR_CONFIG_INVALID`
 */
export async function bucketAccess(
  host: Pick<HostRecords, 'settings' | 'bucket' | 'keyPair'>,
  secrets: Secrets,
  request: DestinationRequest,
  override: DestinationOverride = {},
): Promise<BucketAccess> {
  const bucket = await host.bucket(request.clientId, request.bucketId);
  if (bucket === null || (request.bucketName !== undefined && bucket.name !== request.bucketName)) {
    throw new BackupError('ERR_DEST_BUCKET_NOT_FOUND');
  }
  const [settings, pair] = await Promise.all([host.settings(), host.keyPair(bucket.accountId)]);
  const destination = destinationSettings(settings, override);
  if (pair === null) {
    throw new BackupError(
      'ERR_DECRYPT_DEST_ACCESS_KEY',
      'The storage account has no access key. Create one for it in the portal.',
    );
  }
  return {
    ...destination,
    bucket: bucket.name,
    accessKey: openKey(secrets, pair.accessKeyEnc, 'ERR_DECRYPT_DEST_ACCESS_KEY'),
    secretKey: openKey(secrets, pair.secretKeyEnc, 'ERR_DECRYPT_DEST_SECRET_KEY'),
  };
}

function openKey(secrets: Secrets, value: string, code: ErrorCode): string {
  try {
    return secrets.openHostOwned(value, 's3-key');
  } catch (cause) {
    throw new BackupError(code, undefined, { cause });
  }
}

function isAws(url: string): boolean {
  return /\.amazonaws\.com(?:\.cn)?$/.test(URL.parse(url)?.hostname ?? '');
}
