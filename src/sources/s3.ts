import { z } from 'zod';
import { MISSING_BUCKET, type Side } from '../engines/rclone/error-classes.ts';
import { parseEndpoint } from '../security/egress.ts';
import { bucket, plainPath, secret, text } from './fields.ts';
import type { ObjectLocation, Pace, RemoteDefinition, S3Origin, SourceType } from './source-type.ts';

/** A customer's bucket. */
export const s3Side: Side = { kind: 'source', words: MISSING_BUCKET, codes: { auth: 'ERR_S3_AUTH' } };
const s3Pace: Pace = { transfers: null, flags: () => ['--checkers', '64'] };

const region = text(64).refine((value) => /^[A-Za-z0-9-]+$/.test(value), {
  error: 'must be a region such as eu-central-1',
});
const keys = { access_key: text(256), secret_key: secret(512), bucket };

const endpoint = text(512)
  .transform((value) => (/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `https://${value}`))
  .refine(
    (value) => {
      const url = URL.parse(value);
      return (
        url !== null &&
        /^https?:$/.test(url.protocol) &&
        url.username === '' &&
        url.password === '' &&
        url.search === '' &&
        url.hash === '' &&
        /^\/?$/.test(url.pathname)
      );
    },
    { error: 'must be an address such as https://s3.example.com, without path or user' },
  );

const CompatibleConfig = z.strictObject({
  endpoint,
  region: region.default('us-east-1'),
  ...keys,
  /** rclone's name of the dialect, where the common one does not do. */
  provider: z.enum(['Other', 'Ceph', 'Minio', 'Wasabi', 'Cloudflare', 'Rclone', 'SeaweedFS']).default('Other'),
});

const AwsConfig = z.strictObject({ region, ...keys });

const s3Path = (given: string): string => plainPath(given, { absolute: false });

function inBucket(name: string, path: string): string {
  return path === '' ? name : `${name}/${path}`;
}

function prefixOf(path: string): string {
  return path === '' ? '' : `${path}/`;
}

const common = (config: { region: string; access_key: string; secret_key: string }): Record<string, string> => ({
  region: config.region,
  access_key_id: config.access_key,
  secret_access_key: config.secret_key,
  env_auth: 'false',
  no_check_bucket: 'true',
});

function originOf(
  config: {
    endpoint: string;
    region: string;
    bucket: string;
    access_key: string;
    secret_key: string;
    provider: string;
  },
  path: string,
): S3Origin {
  const { endpoint, region, bucket: name, access_key: accessKey, secret_key: secretKey, provider } = config;
  return {
    kind: 's3',
    access: { endpoint, region, bucket: name, accessKey, secretKey, provider },
    prefix: prefixOf(path),
  };
}

/** Any S3 server that the customer names. */
export const s3Compatible: SourceType<typeof CompatibleConfig> = {
  name: 's3_compatible',
  label: 'S3-compatible storage',
  config: CompatibleConfig,
  secrets: ['secret_key'],
  path: s3Path,
  summary: (config, path) => `${URL.parse(config.endpoint)?.host ?? config.endpoint}/${inBucket(config.bucket, path)}`,
  hosts: (config) => [{ ...parseEndpoint(config.endpoint), by: URL.parse(config.endpoint)?.protocol ?? '' }],
  remote: (config, path): RemoteDefinition => ({
    backend: 's3',
    options: {
      ...common(config),
      provider: config.provider,
      endpoint: config.endpoint,
      force_path_style: 'true',
      list_version: config.provider === 'Ceph' ? '1' : '2',
    },
    obscured: [],
    root: inBucket(config.bucket, path),
    origin: originOf(config, path),
    side: s3Side,
    pace: s3Pace,
    // The transfer program goes wherever a server's answer leads it.
    reach: { by: 'proxy', option: 'override.http_proxy', onlyServer: false, unlessAllowed: true },
  }),
  location: (config, path): ObjectLocation => {
    const { host, port } = parseEndpoint(config.endpoint);
    return { server: `${host}:${port}`, bucket: config.bucket, prefix: prefixOf(path) };
  },
};

/** Amazon S3: the endpoint follows from the region. */
export const aws: SourceType<typeof AwsConfig> = {
  name: 'aws',
  label: 'Amazon S3',
  config: AwsConfig,
  secrets: ['secret_key'],
  path: s3Path,
  summary: (config, path) => `s3://${inBucket(config.bucket, path)} (${config.region})`,
  hosts: (config) => [{ host: `s3.${config.region}.amazonaws.com`, port: 443 }],
  remote: (config, path): RemoteDefinition => ({
    backend: 's3',
    options: { ...common(config), provider: 'AWS' },
    obscured: [],
    root: inBucket(config.bucket, path),
    origin: originOf({ ...config, endpoint: '', provider: 'AWS' }, path),
    side: s3Side,
    pace: s3Pace,
    reach: { by: 'name' },
  }),
  location: (config, path): ObjectLocation => ({
    server: `s3.${config.region}.amazonaws.com:443`,
    bucket: config.bucket,
    prefix: prefixOf(path),
  }),
};
