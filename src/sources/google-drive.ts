import { z } from 'zod';
import { pathOfRcloneName } from '../layout/encoding.ts';
import type { Side } from '../engines/rclone/error-classes.ts';
import type { LogLine } from '../engines/rclone/log.ts';
import { connectionField } from './connection-field.ts';
import { plainPath, text } from './fields.ts';
import type { ListingNotice, RemoteDefinition, SourceType } from './source-type.ts';

const driveId = text(128).refine((value) => /^[A-Za-z0-9_-]+$/.test(value), {
  error: 'must be an id, as the address of the folder in the browser shows it',
});

const GoogleDriveConfig = z.strictObject({
  ...connectionField,
  /** The folder that counts as the root. Ids stay when folders are renamed. */
  root_folder_id: driveId.optional(),
  /** A shared drive; without it My Drive. */
  team_drive: driveId.optional(),
});

/** rclone's words about Drive; reasons are those of the Drive API. */
const side: Side = {
  kind: 'source',
  words: [
    [/invalid_grant|token expired and there's no refresh token/, 'auth'],
    [/invalid_client|unauthorized_client/, 'key'],
    [/couldn't fetch token/, 'network'],
    [/authError|\b(?:Error|code) 401\b/, 'token'],
    [/cannotDownloadAbusiveFile|cannotDownloadFile|cannotDownload\b|fileNotDownloadable/, 'withheld'],
    [/dangling shortcut/, 'not_found'],
    [/dailyLimitExceeded|downloadQuotaExceeded|(?<!User)quotaExceeded/, 'quota'],
    [/[rR]ateLimitExceeded|\b(?:Error|code) 429\b/, 'rate_limit'],
    [/\b(?:Error|code) 403\b|insufficient(?:File)?Permissions/, 'permission'],
    [/\b(?:Error|code) 404\b|teamDriveNotFound|couldn't find root directory ID/, 'not_found'],
    [/\b(?:Error|code) 5\d\d\b/, 'network'],
  ],
  codes: { auth: 'ERR_GDRIVE_REFRESH_PRECHECK', key: 'ERR_GDRIVE_NO_CLIENT_CREDENTIALS' },
};

/** What rclone leaves out of a listing, and says so only in its log. */
function notice({ message, object }: LogLine): ListingNotice | null {
  if (/^search result INCOMPLETE/i.test(message)) return { type: 'incomplete', path: '' };
  if (object === null) return null;
  const path = pathOfRcloneName(Buffer.from(object));
  if (/^Skipping unexportable google document|^No export formats found/.test(message))
    return { type: 'skipped', path, reason: 'unexportable' };
  if (/creating a loop/.test(message)) return { type: 'skipped', path, reason: 'symlink_loop' };
  return null;
}

/** A Google Drive that the client has connected: My Drive or a shared drive, read only. Native documents are read as Office files. */
export const googleDrive: SourceType<typeof GoogleDriveConfig> = {
  name: 'google_drive',
  label: 'Google Drive',
  config: GoogleDriveConfig,
  secrets: [],
  path: (given) => plainPath(given, { absolute: false }),
  summary: (config, path) => {
    const place = config.team_drive === undefined ? 'My Drive' : 'shared drive';
    const folder = [config.root_folder_id === undefined ? '' : 'chosen folder', path].filter((part) => part !== '');
    return [`${config.account ?? 'Google'}: ${place}`, ...folder].join('/');
  },
  // Google's own hosts: no customer chooses them.
  hosts: () => [],
  connection: ({ connection }) => ({ provider: 'google_drive', uuid: connection }),
  remote: (config, path): RemoteDefinition => ({
    backend: 'drive',
    options: {
      scope: 'drive.readonly',
      ...(config.root_folder_id === undefined ? {} : { root_folder_id: config.root_folder_id }),
      ...(config.team_drive === undefined ? {} : { team_drive: config.team_drive }),
      export_formats: 'docx,xlsx,pptx,svg',
      // A day's limit of downloads is over tomorrow: going on would only fail file by file.
      stop_on_download_limit: 'true',
      // The operator's own client may send many more requests than the shared one of rclone, for which the default is meant.
      pacer_min_sleep: '10ms',
    },
    obscured: [],
    root: path,
    origin: { kind: 'remote', md5: true, dated: true, listFlags: ['--fast-list'], notice },
    side,
    pace: { transfers: 16, flags: () => ['--checkers', '16'] },
    reach: { by: 'name' },
    readOnly: true,
  }),
  location: () => null,
};
