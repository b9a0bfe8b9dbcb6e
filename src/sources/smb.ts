import { z } from 'zod';
import type { Side } from '../engines/rclone/error-classes.ts';
import { host, plainPath, port, secret, text } from './fields.ts';
import { ignoredEntries, walkFlags } from './file-server.ts';
import type { Pace, RemoteDefinition, SourceType } from './source-type.ts';

/** Windows forbids these in the name of a share (MS-FSCC, section 2.1.6). */
const share = text(80).refine((value) => !/[\\/:*?"<>|[\]+=;,]/.test(value) && !/^\.{1,2}$/.test(value), {
  error: 'must be the name of a share, without slashes',
});

export const smbFields = {
  host,
  port: port.default(445),
  share,
  user: text(256),
  pass: secret(1024).optional(),
  domain: text(256).default('WORKGROUP'),
};

const SmbConfig = z.strictObject(smbFields);
export type SmbConfig = z.output<typeof SmbConfig>;

const side: Side = {
  kind: 'source',
  words: [
    [
      /attempted logon is invalid|account (?:is|has been) (?:currently )?(?:disabled|locked|expired)|password (?:of this user )?(?:has expired|must be changed)|NT_STATUS_LOGON_FAILURE/i,
      'auth',
    ],
    [/Network Name Not Found|Bad Network Name|BAD_NETWORK_NAME/i, 'not_found'],
    [/Access Denied|initialize SMB: permission denied/i, 'permission'],
    [/disk was full|DISK_FULL/i, 'disk_full'],
    [/quota was exceeded|QUOTA_EXCEEDED/i, 'quota'],
    [/invalid transport format|connection error|transport error/i, 'network'],
  ],
};

/** Servers of one user share what they can do among his connections; more of them make nothing faster. */
const pace: Pace = { transfers: 6, flags: () => ['--checkers', '6', '--multi-thread-streams', '0'] };

const hostOf = (config: SmbConfig): string => config.host.replace(/^\[|\]$/g, '');

export const smbHosts = (config: SmbConfig) => [{ host: hostOf(config), port: config.port }];
export const smbPath = (given: string): string => plainPath(given.replaceAll('\\', '/'), { absolute: false });

export function smbSummary(config: SmbConfig, path: string): string {
  return `\\\\${config.host}\\${[config.share, ...path.split('/').filter(Boolean)].join('\\')}`;
}

export function smbRemote(config: SmbConfig, path: string): RemoteDefinition {
  return {
    backend: 'smb',
    options: {
      host: hostOf(config),
      port: String(config.port),
      user: config.user,
      ...(config.pass === undefined ? {} : { pass: config.pass }),
      domain: config.domain,
      // Where the server tells names apart by case, so do we; where it does not, it has only one of each.
      case_insensitive: 'false',
    },
    obscured: ['pass'],
    root: path === '' ? config.share : `${config.share}/${path}`,
    origin: { kind: 'remote', md5: false, listFlags: walkFlags(6), notice: ignoredEntries },
    side,
    pace,
    reach: { by: 'address' },
  };
}

/** A share of a Windows machine or of Samba. */
export const smb: SourceType<typeof SmbConfig> = {
  name: 'smb',
  label: 'Windows share (SMB)',
  config: SmbConfig,
  secrets: ['pass'],
  path: smbPath,
  summary: smbSummary,
  hosts: smbHosts,
  remote: smbRemote,
  location: () => null,
};
