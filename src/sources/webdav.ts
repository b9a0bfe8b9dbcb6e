import { z } from 'zod';
import type { Side } from '../engines/rclone/error-classes.ts';
import { parseEndpoint } from '../security/egress.ts';
import { caCertificate, trustMark } from './ca-certificate.ts';
import { plainPath, secret, text } from './fields.ts';
import { ignoredEntries, walkFlags } from './file-server.ts';
import type { Pace, RemoteDefinition, SourceType } from './source-type.ts';

const url = text(1024)
  .transform((value) => (/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `https://${value}`))
  .refine(
    (value) => {
      const parsed = URL.parse(value);
      return (
        parsed !== null &&
        /^https?:$/.test(parsed.protocol) &&
        parsed.username === '' &&
        parsed.password === '' &&
        parsed.search === '' &&
        parsed.hash === '' &&
        !/[\s\\]/.test(value)
      );
    },
    { error: 'must be an address such as https://cloud.example.com/remote.php/dav/files/me, without user' },
  );

export const webdavFields = {
  url,
  user: text(256).optional(),
  pass: secret(1024).optional(),
  ca_certificate: caCertificate.optional(),
  /** The kinds of servers that differ: times of files can be set only where the server is known. */
  vendor: z.enum(['other', 'nextcloud', 'owncloud', 'infinitescale', 'fastmail', 'rclone']).default('other'),
};

const WebdavConfig = z.strictObject(webdavFields);
export type WebdavConfig = z.output<typeof WebdavConfig>;

const side: Side = {
  kind: 'source',
  words: [
    [/\b401 |401 Unauthorized/, 'auth'],
    [/\b403 (?!e3 )|403 Forbidden/, 'permission'],
    [/\b404 |404 Not Found/, 'not_found'],
    [/\b429 |429 Too Many/, 'rate_limit'],
    [/\b507 |507 Insufficient/, 'quota'],
    [/\b(?:408|5\d\d) (?!e3 )(?=[A-Z])/, 'network'],
    // Not XML, or another status than WebDAV knows: there is some other server at this address.
    [/XML syntax error|405 Method Not Allowed|expected element type/i, 'not_found'],
  ],
};

const pace: Pace = {
  transfers: 8,
  flags: () => ['--checkers', '8', '--multi-thread-streams', '0'],
  resumes: false,
};

export const webdavHosts = (config: WebdavConfig) => [
  { ...parseEndpoint(config.url), by: `${URL.parse(config.url)?.protocol ?? ''}${trustMark(config.ca_certificate)}` },
];
export const webdavPath = (given: string): string => plainPath(given, { absolute: false });

export function webdavSummary(config: WebdavConfig, path: string): string {
  const { host, pathname } = URL.parse(config.url) ?? { host: config.url, pathname: '' };
  return [host + pathname.replace(/\/+$/, ''), path].filter(Boolean).join('/');
}

export function webdavRemote(config: WebdavConfig, path: string): RemoteDefinition {
  return {
    backend: 'webdav',
    options: {
      url: config.url,
      vendor: config.vendor,
      ...(config.user === undefined ? {} : { user: config.user }),
      ...(config.pass === undefined ? {} : { pass: config.pass }),
    },
    obscured: ['pass'],
    root: path,
    origin: { kind: 'remote', md5: false, zeroIsDoubtful: true, listFlags: walkFlags(8), notice: ignoredEntries },
    side,
    pace,
    reach: { by: 'proxy', option: 'override.http_proxy', onlyServer: false },
    ...(config.ca_certificate === undefined ? {} : { trusted: config.ca_certificate }),
  };
}

/** A folder of a WebDAV server, Nextcloud and ownCloud among them. */
export const webdav: SourceType<typeof WebdavConfig> = {
  name: 'webdav',
  label: 'WebDAV',
  config: WebdavConfig,
  secrets: ['pass'],
  path: webdavPath,
  summary: webdavSummary,
  hosts: webdavHosts,
  remote: webdavRemote,
  location: () => null,
};
