import { z } from 'zod';
import type { Side } from '../engines/rclone/error-classes.ts';
import { connectionField } from './connection-field.ts';
import { plainPath } from './fields.ts';
import type { RemoteDefinition, SourceType } from './source-type.ts';

const DropboxConfig = z.strictObject({ ...connectionField });

/** rclone's words about Dropbox; the tags are those of its API. */
const side: Side = {
  kind: 'source',
  words: [
    [/invalid_grant|token expired and there's no refresh token/, 'auth'],
    [/invalid_client|unauthorized_client/, 'key'],
    [/couldn't fetch token/, 'network'],
    [/expired_access_token|invalid_access_token/, 'token'],
    [/missing_scope|user_suspended|no_permission/, 'auth'],
    [/restricted_content|unsupported_file/, 'withheld'],
    [/too_many_requests|too_many_write_operations/, 'rate_limit'],
    [/insufficient_space|insufficient_quota/, 'quota'],
    [/path\/not_found|path_lookup\/not_found|not_found\//, 'not_found'],
    [/internal_error|HTTP code 5\d\d|unexpected status code: 5\d\d/, 'network'],
  ],
  codes: { auth: 'ERR_DROPBOX_REFRESH_PRECHECK', key: 'ERR_DROPBOX_NO_CLIENT_CREDENTIALS' },
};

/** A Dropbox that the client has connected, read only. */
export const dropbox: SourceType<typeof DropboxConfig> = {
  name: 'dropbox',
  label: 'Dropbox',
  config: DropboxConfig,
  secrets: [],
  path: (given) => plainPath(given, { absolute: false }),
  summary: (config, path) => `${config.account ?? 'account'}: Dropbox${path === '' ? '' : `/${path}`}`,
  // Dropbox's own hosts: no customer chooses them.
  hosts: () => [],
  connection: ({ connection }) => ({ provider: 'dropbox', uuid: connection }),
  remote: (_config, path): RemoteDefinition => ({
    backend: 'dropbox',
    options: { export_formats: 'html,md' },
    obscured: [],
    root: path,
    // Its checksum is one of its own, which no storage knows.
    origin: { kind: 'remote', md5: false, dated: true, listFlags: ['--checkers', '16'] },
    side,
    // Dropbox slows down whoever asks for much at once, and knows no ranges of documents that are made into files.
    pace: { transfers: 8, flags: () => ['--checkers', '8'], resumes: false },
    reach: { by: 'name' },
    readOnly: true,
  }),
  location: () => null,
};
