import { z } from 'zod';
import { ftpFields, ftpHosts, ftpPath, ftpRemote, ftpSummary } from './ftp.ts';
import { smbFields, smbHosts, smbPath, smbRemote, smbSummary } from './smb.ts';
import type { SourceType } from './source-type.ts';
import { webdavFields, webdavHosts, webdavPath, webdavRemote, webdavSummary } from './webdav.ts';

/** A network storage by what it speaks; the fields are those of the protocol. */
const NasConfig = z.discriminatedUnion(
  'protocol',
  [
    z.strictObject({ protocol: z.literal('smb'), ...smbFields }),
    z.strictObject({ protocol: z.literal('webdav'), ...webdavFields }),
    z.strictObject({ protocol: z.literal('ftp'), ...ftpFields }),
  ],
  { error: 'must be smb, webdav or ftp' },
);

type NasConfig = z.output<typeof NasConfig>;

/** What is different between the protocols, for one configuration. */
function chosen(config: NasConfig) {
  switch (config.protocol) {
    case 'smb':
      return {
        hosts: () => smbHosts(config),
        summary: (path: string) => smbSummary(config, smbPath(path)),
        remote: (path: string) => smbRemote(config, smbPath(path)),
      };
    case 'webdav':
      return {
        hosts: () => webdavHosts(config),
        summary: (path: string) => webdavSummary(config, webdavPath(path)),
        remote: (path: string) => webdavRemote(config, webdavPath(path)),
      };
    case 'ftp':
      return {
        hosts: () => ftpHosts(config),
        summary: (path: string) => ftpSummary(config, path),
        remote: (path: string) => ftpRemote(config, path),
      };
  }
}

/** A NAS in an office or at home: reached as a Windows share, by WebDAV, or by FTP. */
export const nas: SourceType<typeof NasConfig> = {
  name: 'nas',
  label: 'NAS',
  config: NasConfig,
  secrets: ['pass'],
  path(given) {
    // For Windows shares a backslash parts folders: what lies between them must be plain too.
    smbPath(given);
    return ftpPath(given);
  },
  summary: (config, path) => chosen(config).summary(path),
  hosts: (config) => chosen(config).hosts(),
  remote: (config, path) => chosen(config).remote(path),
  location: () => null,
};
