import { NOTHING_CHANGED, UNTOUCHED, type ErrorEntry } from '../entry.ts';

/** What goes wrong at a source. */
export const sourceErrors = {
  ERR_S3_AUTH: {
    status: 422,
    what: 'The S3 server refused the access key or the secret key.',
    data: UNTOUCHED,
    action: 'Check both keys, and that they may list and read this bucket; then save them in the job.',
  },
  ERR_S3_BUCKET_NOT_FOUND: {
    status: 422,
    what: 'The bucket does not exist on the S3 server.',
    data: UNTOUCHED,
    action: 'Check the name of the bucket and the region.',
  },
  ERR_S3_PREFLIGHT_NETWORK: {
    status: 503,
    what: 'The S3 server of the destination could not be reached.',
    data: UNTOUCHED,
    action:
      'A run is tried again by itself; a page can be opened again in a minute. If it stays, check the storage endpoint.',
    transient: true,
  },
  ERR_SFTP_AUTH: {
    status: 422,
    what: 'The SFTP server refused the user name, password or key.',
    data: UNTOUCHED,
    action: 'Check user name and password or key; then save them in the job.',
  },
  ERR_SFTP_HOST_KEY_CHANGED: {
    status: 422,
    what: 'The SFTP server shows another host key than before: it was reinstalled, or somebody is between us and the server.',
    data: 'Nothing was read or written.',
    action: 'Ask the owner of the server. If the new key is right, accept it in the job.',
  },
  ERR_HOST_UNKNOWN: {
    status: 422,
    what: 'The name of the server is not known.',
    data: UNTOUCHED,
    action: 'Check the spelling of the server name.',
    transient: true,
  },
  ERR_CONNECTION_REFUSED: {
    status: 422,
    what: 'The server refuses connections on this port.',
    data: UNTOUCHED,
    action: 'Check address and port, and that the server runs.',
    transient: true,
  },
  ERR_NETWORK: {
    status: 422,
    what: 'The connection to the server failed or timed out.',
    data: UNTOUCHED,
    action: 'The run is tried again. If it stays, check the network and the firewall.',
    transient: true,
  },
  ERR_SOURCE_AUTH: {
    status: 422,
    what: 'The source refused the user name or password.',
    data: UNTOUCHED,
    action: 'Check user name, password and, where there is one, domain; then save them in the job.',
  },
  ERR_GDRIVE_NO_CLIENT_CREDENTIALS: {
    status: 422,
    what: 'The access to Google Drive is not set up: client id or secret are missing, or Google does not accept them.',
    data: UNTOUCHED,
    action:
      'Ask the operator to set GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET, or the module settings of the same names.',
  },
  ERR_GDRIVE_NO_REFRESH_TOKEN: {
    status: 422,
    what: 'The stored authorization for Google Drive is missing or cannot be read.',
    data: UNTOUCHED,
    action: 'Re-authorize the connection on the page of sources.',
  },
  ERR_GDRIVE_SOURCE_LOOKUP: {
    status: 422,
    what: 'The connection to Google Drive that this job uses does not exist any more.',
    data: UNTOUCHED,
    action: 'Choose another connection in the job, or connect Google Drive again on the page of sources.',
  },
  ERR_GDRIVE_REFRESH_PRECHECK: {
    status: 422,
    what: 'Google refuses the authorization: it was withdrawn, or it has expired.',
    data: UNTOUCHED,
    action: 'Re-authorize the connection on the page of sources; then start the run again.',
  },
  ERR_DROPBOX_NO_CLIENT_CREDENTIALS: {
    status: 422,
    what: 'The access to Dropbox is not set up: client id or secret are missing, or Dropbox does not accept them.',
    data: UNTOUCHED,
    action:
      'Ask the operator to set DROPBOX_CLIENT_ID and DROPBOX_CLIENT_SECRET, or the module settings of the same names.',
  },
  ERR_DROPBOX_NO_REFRESH_TOKEN: {
    status: 422,
    what: 'The stored authorization for Dropbox is missing or cannot be read.',
    data: UNTOUCHED,
    action: 'Re-authorize the connection on the page of sources.',
  },
  ERR_DROPBOX_SOURCE_LOOKUP: {
    status: 422,
    what: 'The connection to Dropbox that this job uses does not exist any more.',
    data: UNTOUCHED,
    action: 'Choose another connection in the job, or connect Dropbox again on the page of sources.',
  },
  ERR_DROPBOX_REFRESH_PRECHECK: {
    status: 422,
    what: 'Dropbox refuses the authorization: it was withdrawn, or it has expired.',
    data: UNTOUCHED,
    action: 'Re-authorize the connection on the page of sources; then start the run again.',
  },
  ERR_SOURCE_TOKEN: {
    status: 422,
    what: 'The service stopped accepting an access that it had granted for longer.',
    data: UNTOUCHED,
    action:
      'The run is tried again with a new access. If it stays, re-authorize the connection on the page of sources.',
    transient: true,
  },
  ERR_FILE_WITHHELD: {
    what: 'The service holds the file back, because it takes it for malware or spam or its owner has forbidden downloads.',
    data: 'The other files are backed up, and an earlier version of this one stays.',
    action: 'Open the file at the service and download it there, if you trust it.',
  },
  ERR_TLS: {
    status: 422,
    what: 'The certificate of the server could not be verified.',
    data: UNTOUCHED,
    action: 'Install a valid certificate on the server, or correct its name.',
  },
  ERR_PERMISSION: {
    status: 422,
    what: 'The server refused access to the path.',
    data: UNTOUCHED,
    action: 'Give the account the right to list and read the path, and to write it where a restore goes there.',
  },
  ERR_RATE_LIMIT: {
    status: 429,
    what: 'The server asks us to slow down.',
    data: UNTOUCHED,
    action: 'The run is tried again later.',
    transient: true,
  },
  ERR_QUOTA: {
    what: 'The storage quota is used up.',
    data: UNTOUCHED,
    action: 'Free space or order more, then run the job again.',
  },
  ERR_SOURCE_NOT_FOUND: {
    status: 422,
    what: 'The path does not exist at the source.',
    data: UNTOUCHED,
    action:
      'Correct the path in the job. Some servers, those of FTP among them, say the same of a folder that the user may not read.',
  },
  ERR_SOURCE_EMPTY: {
    what: 'The source lists no files at all, which would make an empty backup.',
    data: 'Nothing was written; earlier restore points stay.',
    action: 'Check the path. If the source really is empty, use "Run anyway once".',
  },
  ERR_SOURCE_LISTING: {
    what: 'The source could not be listed.',
    data: UNTOUCHED,
    action: 'Check that the source answers, then run the job again.',
    transient: true,
  },
  ERR_SOURCE_CONFIG: {
    status: 422,
    what: 'The settings of the source are not valid.',
    data: NOTHING_CHANGED,
    action: 'Correct the fields that are named.',
  },
} as const satisfies Record<string, ErrorEntry>;
