import { z } from 'zod';
import type { Side } from '../engines/rclone/error-classes.ts';
import { caCertificate, trustMark } from './ca-certificate.ts';
import { host, plainPath, port, secret, text } from './fields.ts';
import { ignoredEntries, walkFlags } from './file-server.ts';
import type { Pace, RemoteDefinition } from './source-type.ts';

export const ftpFields = {
  host,
  port: port.optional(),
  user: text(256),
  pass: secret(1024).optional(),
  /** `explicit`: AUTH TLS on the usual port (RFC 4217); `implicit`: TLS from the first byte; `none`: the password is sent as it is. */
  encryption: z.enum(['explicit', 'implicit', 'none']).default('explicit'),
  ca_certificate: caCertificate.optional(),
};

export type FtpConfig = z.output<z.ZodObject<typeof ftpFields>>;

const side: Side = {
  kind: 'source',
  words: [
    // Mostly with 421, of which the library passes on the words only; some servers say so with 530.
    [
      /too many (?:users|clients|connections|logins)|maximum number of (?:users|clients|connections|logins)/i,
      'rate_limit',
    ],
    [/\b(?:530|332|430) /, 'auth'],
    [/\b(?:552|452) /, 'quota'],
    [/550 .*(?:permission|denied|not allowed|forbidden)|\b553 /i, 'permission'],
    // What a server that has no TLS answers to AUTH.
    [/FTP connection to "[^"]*": 5(?:00|02|04|34|50) "/, 'tls'],
    [/\b550 /, 'not_found'],
    [/\b(?:421|425|426) /, 'network'],
  ],
};

/** Many servers take few connections of one user; each file and each look-up at once has one of its own. */
const pace: Pace = { transfers: 4, flags: () => ['--checkers', '2', '--multi-thread-streams', '0'] };

const hostOf = (config: FtpConfig): string => config.host.replace(/^\[|\]$/g, '');
const portOf = (config: FtpConfig): number => config.port ?? (config.encryption === 'implicit' ? 990 : 21);

export const ftpHosts = (config: FtpConfig) => [
  { host: hostOf(config), port: portOf(config), by: config.encryption + trustMark(config.ca_certificate) },
];
export const ftpPath = (given: string): string => plainPath(given, { absolute: true });

export function ftpSummary(config: FtpConfig, path: string): string {
  const scheme = config.encryption === 'none' ? 'ftp' : 'ftps';
  const shown = config.port === undefined ? '' : `:${config.port}`;
  return `${scheme}://${config.user}@${config.host}${shown}/${path.replace(/^\//, '')}`;
}

/**
 * Data connections go by a proxy of ours that leads to the checked server alone, whatever host its answers name. Times are as exact as
 * the server tells them: seconds by MLSD, minutes by LIST.
 */
export function ftpRemote(config: FtpConfig, path: string): RemoteDefinition {
  return {
    backend: 'ftp',
    options: {
      host: hostOf(config),
      port: String(portOf(config)),
      user: config.user,
      ...(config.pass === undefined ? {} : { pass: config.pass }),
      ...(config.encryption === 'explicit' ? { explicit_tls: 'true' } : {}),
      ...(config.encryption === 'implicit' ? { tls: 'true' } : {}),
      close_timeout: '20s',
      shut_timeout: '20s',
    },
    obscured: ['pass'],
    root: path,
    origin: { kind: 'remote', md5: false, listFlags: walkFlags(3), notice: ignoredEntries },
    side,
    pace,
    reach: { by: 'proxy', option: 'http_proxy', onlyServer: true },
    ...(config.ca_certificate === undefined ? {} : { trusted: config.ca_certificate }),
  };
}
