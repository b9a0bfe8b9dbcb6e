/**
 * Every error code of this package, once. Codes of the API are bare; codes of runs and of set-up begin with `ERR_`.
 * docs/troubleshooting.md is generated from this list (`npm run docs:errors`), and a test holds the two together.
 */
export interface ErrorEntry {
  /** HTTP status when the API answers with it. Absent: the code appears on runs or in a terminal only. */
  readonly status?: number;
  /** What happened, as one sentence. */
  readonly what: string;
  /** What it means for data that is already backed up, as one sentence. */
  readonly data: string;
  /** What to do, as one or two sentences. */
  readonly action: string;
  /** A run that failed with it is tried again by itself, up to the job's limit. */
  readonly transient?: true;
}

const UNTOUCHED = 'Nothing that was already backed up is affected.';
const NOTHING_CHANGED = 'Nothing was changed.';

const entries = {
  // --- API ---
  UNAUTHENTICATED: {
    status: 401,
    what: 'You are not signed in.',
    data: NOTHING_CHANGED,
    action: 'Sign in to the portal and try again.',
  },
  FORBIDDEN: {
    status: 403,
    what: 'Your account may not do this.',
    data: NOTHING_CHANGED,
    action: 'Ask the account owner or the support team.',
  },
  CSRF_INVALID: {
    status: 403,
    what: 'The request did not come from a page of this portal, or the page is too old.',
    data: NOTHING_CHANGED,
    action: 'Reload the page and try again.',
  },
  INVALID_INPUT: {
    status: 422,
    what: 'Some of the values are not valid.',
    data: NOTHING_CHANGED,
    action: 'Correct the fields that are named in the answer.',
  },
  BAD_REQUEST: {
    status: 400,
    what: 'The request cannot be read: it is neither a form nor a JSON object.',
    data: NOTHING_CHANGED,
    action: 'Send the fields as a form or as a JSON object, with the content type that says so.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    what: 'This address does not answer requests with this method.',
    data: NOTHING_CHANGED,
    action: 'Use the method that the Allow header of the answer names.',
  },
  BODY_TOO_LARGE: {
    status: 413,
    what: 'The request is too large.',
    data: NOTHING_CHANGED,
    action: 'Send less in one request.',
  },
  NOT_FOUND: {
    status: 404,
    what: 'There is nothing at this address.',
    data: NOTHING_CHANGED,
    action: 'Check the address, or start from the list of jobs.',
  },
  JOB_NOT_FOUND: {
    status: 404,
    what: 'This backup job does not exist.',
    data: NOTHING_CHANGED,
    action: 'Reload the list of jobs.',
  },
  RUN_NOT_FOUND: {
    status: 404,
    what: 'This run does not exist.',
    data: NOTHING_CHANGED,
    action: 'Reload the list of runs.',
  },
  POINT_NOT_FOUND: {
    status: 404,
    what: 'This restore point does not exist or is being removed.',
    data: NOTHING_CHANGED,
    action: 'Choose another restore point.',
  },
  PATH_NOT_FOUND: {
    status: 404,
    what: 'The restore point holds nothing under this path.',
    data: NOTHING_CHANGED,
    action: 'Open the folder above it, or search for the name. The file may be in another restore point.',
  },
  BUCKET_NOT_FOUND: {
    status: 404,
    what: 'This bucket does not exist or is not active.',
    data: NOTHING_CHANGED,
    action: 'Choose a bucket from the list.',
  },
  COMMAND_NOT_FOUND: {
    status: 404,
    what: 'This request to a worker does not exist or has expired.',
    data: NOTHING_CHANGED,
    action: 'Start it again.',
  },
  SOURCE_NOT_FOUND: {
    status: 404,
    what: 'This connection does not exist.',
    data: NOTHING_CHANGED,
    action: 'Reload the page of sources, and choose a connection from the list.',
  },
  SOURCE_NOT_CONNECTED: {
    status: 409,
    what: 'This connection was disconnected, or it needs to be authorized again.',
    data: UNTOUCHED,
    action: 'Re-authorize it on the page of sources.',
  },
  OAUTH_STATE_INVALID: {
    status: 422,
    what: 'This authorization was not begun here, was finished already, or took longer than fifteen minutes.',
    data: NOTHING_CHANGED,
    action: 'Begin again on the page of sources.',
  },
  OAUTH_REFUSED: {
    status: 422,
    what: 'The service did not confirm the authorization, or you declined it there.',
    data: NOTHING_CHANGED,
    action: 'Begin again on the page of sources, and allow the access that is asked for.',
  },
  OAUTH_SCOPE_MISSING: {
    status: 422,
    what: 'Not all of the access that a backup needs was allowed.',
    data: NOTHING_CHANGED,
    action: 'Begin again on the page of sources, and leave every box ticked on the page of the service.',
  },
  OAUTH_NO_REFRESH_TOKEN: {
    status: 422,
    what: 'The service allowed access for a moment only, so backups could not run without you.',
    data: NOTHING_CHANGED,
    action: 'Remove the access of this portal in the account settings of the service, then connect again.',
  },
  OAUTH_OTHER_ACCOUNT: {
    status: 409,
    what: 'You signed in with another account than the one of this connection.',
    data: 'The connection and its jobs are as they were.',
    action: 'Authorize again with the account that the connection names, or make a new connection for the other one.',
  },
  OAUTH_NO_ADDRESS: {
    status: 503,
    what: 'Connecting accounts is not set up: the portal does not know its own public address.',
    data: NOTHING_CHANGED,
    action: 'Ask the operator to set the option publicUrl.',
  },
  JOB_PAUSED: {
    status: 409,
    what: 'The job is paused.',
    data: UNTOUCHED,
    action: 'Resume the job, then start the run.',
  },
  ALREADY_RUNNING: {
    status: 409,
    what: 'A run of this job is already queued or running.',
    data: UNTOUCHED,
    action: 'Wait until it has finished, or cancel it.',
  },
  RUN_NOT_CANCELLABLE: {
    status: 409,
    what: 'The run is already over.',
    data: UNTOUCHED,
    action: 'Nothing needs to be cancelled.',
  },
  SERVICE_SUSPENDED: {
    status: 403,
    what: 'The storage service of this account is suspended, so no new runs are started.',
    data: 'Data that is backed up stays, and restores work.',
    action: 'Settle the account, or ask the support team.',
  },
  PREFIX_TAKEN: {
    status: 409,
    what: 'Another job or repository already uses this folder of the bucket, or one inside or above it.',
    data: NOTHING_CHANGED,
    action: 'Choose another folder, or leave it empty to get one of its own.',
  },
  NOT_ENCRYPTED: {
    status: 409,
    what: 'This job is not encrypted, so there is no recovery kit.',
    data: 'Its files lie in the bucket as they are; any S3 program reads them.',
    action: 'Open the bucket with your own program, or restore from here.',
  },
  CONFIRMATION_FAILED: {
    status: 403,
    what: 'That was not confirmed: the password, or the name of the job, is not right.',
    data: NOTHING_CHANGED,
    action: 'Enter it again. After some attempts you have to wait a minute.',
  },
  LAYOUT_FIXED: {
    status: 409,
    what: 'Bucket, folder, mode and encryption of a job are fixed after its first run.',
    data: NOTHING_CHANGED,
    action: 'Create a second job for the other destination.',
  },
  SOURCE_IS_DESTINATION: {
    status: 422,
    what: 'The source is the very place where the backup would be written.',
    data: NOTHING_CHANGED,
    action: 'Choose another bucket or folder for the backup.',
  },
  HOST_NOT_ALLOWED: {
    status: 422,
    what: 'The address of the source belongs to a private or reserved network, which is not allowed here.',
    data: NOTHING_CHANGED,
    action: 'Use a public address, or ask the operator to allow this host by name.',
  },
  NO_WORKER: {
    status: 503,
    what: 'No worker is running, so the request could not be carried out.',
    data: NOTHING_CHANGED,
    action: 'Try again in a minute; if it stays, tell the support team.',
  },
  COMMAND_TIMEOUT: {
    status: 504,
    what: 'The worker did not answer in time.',
    data: NOTHING_CHANGED,
    action: 'Check that the source answers, then try again.',
  },
  RATE_LIMITED: {
    status: 429,
    what: 'Too many requests in a short time.',
    data: NOTHING_CHANGED,
    action: 'Wait a minute and try again.',
  },
  TOO_MANY_DOWNLOADS: {
    status: 429,
    what: 'Other downloads of your account are still under way.',
    data: NOTHING_CHANGED,
    action: 'Wait until one of them has ended, or restore into a bucket: that has no such limit.',
  },
  DOWNLOAD_TOO_LARGE: {
    status: 422,
    what: 'There are too many files for one download.',
    data: NOTHING_CHANGED,
    action: 'Download as tar, which has no limit, choose fewer folders, or restore into a bucket.',
  },
  CONFLICT: {
    status: 409,
    what: 'Somebody else changed this meanwhile.',
    data: NOTHING_CHANGED,
    action: 'Reload the page and try again.',
  },
  DATA_BEING_DELETED: {
    status: 409,
    what: 'The data of this job is being deleted: its grace is over.',
    data: 'What is deleted cannot be brought back, and the rest follows.',
    action: 'Make a new job. Its first run backs up everything again.',
  },
  INTERNAL: {
    status: 500,
    what: 'Something went wrong on our side.',
    data: UNTOUCHED,
    action: 'Try again; if it stays, tell the support team the time and the request number.',
  },
  ERR_NOT_AVAILABLE: {
    status: 422,
    what: 'This option is not available yet.',
    data: NOTHING_CHANGED,
    action: 'Save the job without it.',
  },

  // --- source ---
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
    action: 'Correct the path in the job.',
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

  // --- destination and format ---
  ERR_DEST_AUTH: {
    status: 502,
    what: 'The destination storage refused our keys.',
    data: UNTOUCHED,
    action: 'Tell the support team: the keys of the storage account need to be renewed.',
  },
  ERR_DEST_BUCKET_NOT_FOUND: {
    status: 502,
    what: 'The destination bucket does not exist any more.',
    data: 'Backups that lay in this bucket are gone with it.',
    action: 'Tell the support team, or create a job with another bucket.',
  },
  ERR_DEST_REFUSED: {
    status: 502,
    what: 'The destination storage refused a request for a reason of its own.',
    data: UNTOUCHED,
    action: 'Tell the support team the time and the number of the run.',
  },
  ERR_DELETE_REFUSED: {
    what: 'The destination storage does not let us delete: its keys may not, or the bucket locks its objects.',
    data: 'Nothing is lost: old restore points and what they hold take room until they can be removed.',
    action:
      'Give the keys of the storage account the right to delete, or wait until the lock ends; maintenance goes on by itself.',
  },
  ERR_DEST_NOT_OURS: {
    what: 'The folder in the bucket belongs to another job or installation, or its owner marker is missing or altered.',
    data: 'Nothing was written and nothing was deleted.',
    action: 'If the database was moved or restored on purpose, an operator runs bin/adopt for this job.',
  },
  ERR_INDEX_STALE: {
    what: 'The bucket holds backups that the database does not know, or the other way round: probably the database was restored from an older copy.',
    data: 'Nothing was written and nothing was deleted.',
    action: 'An operator runs bin/reindex for this job; the bucket is the truth.',
  },
  ERR_MANIFEST_INVALID: {
    status: 502,
    what: 'A manifest or chunk in the bucket cannot be read or was altered.',
    data: 'The files themselves are not touched; the restore point is not used until this is solved.',
    action: 'Tell the support team. Another restore point can be restored meanwhile.',
  },
  ERR_ARCHIVE_DAMAGED: {
    status: 502,
    what: 'An archive in the bucket cannot be read where a file should lie: it was altered or cut off.',
    data: 'Other files of the restore point may lie in other parts of the archive and be whole. Other restore points are not affected.',
    action: 'Restore the file from another restore point, and run a backup now. Tell the support team.',
  },
  ERR_SIZE_UNKNOWN: {
    what: 'The source does not say how large the file is, and it is too large to be held in memory meanwhile.',
    data: UNTOUCHED,
    action: 'Back up this source in the mode that keeps single files, or make the file smaller.',
  },
  ERR_RESUME_DIFFERS: {
    what: 'The connection broke while a large file was read, and what the source sent to go on did not fit what came before: the file was written to meanwhile, or the server, or a proxy before it, ignores byte ranges.',
    data: UNTOUCHED,
    action: 'Run the job again. If it stays, let the server, or the proxy before it, answer requests for byte ranges.',
  },
  ERR_COMMIT_READBACK: {
    what: 'The manifest that was read back differs from the one that was written.',
    data: UNTOUCHED,
    action: 'The run is tried again. If it stays, the destination storage is faulty.',
    transient: true,
  },
  ERR_OBJECT_MISSING: {
    status: 502,
    what: 'An object that a restore point needs is missing in the bucket.',
    data: 'The files named in the report cannot be restored from this point.',
    action: 'Choose another restore point, and tell the support team.',
  },
  ERR_KEY_TOO_LONG: {
    what: 'The path of a file makes a storage key of more than 1,024 bytes, or is longer than an archive can hold.',
    data: 'All other files are backed up.',
    action: 'Shorten the name or the folder names of the file that the report names.',
  },
  ERR_RESTORE_MISMATCH: {
    status: 502,
    what: 'Restored files differ from what was backed up.',
    data: 'The backup itself was not changed.',
    action: 'Restore again; if it stays, choose another restore point and tell the support team.',
  },
  ERR_VALIDATION_DIFFERS: {
    what: 'The validation found files that are missing in the bucket or differ from what was backed up.',
    data: 'The files that the report names cannot be restored from this point as they were; all others can.',
    action:
      'Look at the report of the run, and start a backup: it copies these files again. Earlier restore points may hold them; tell the support team.',
  },
  ERR_DRILL_FAILED: {
    what: 'The restore test could not read a file back as it was backed up.',
    data: 'The files that the report names cannot be restored from the newest point as they were.',
    action:
      'Look at the report of the run, and start a validation to see how many files are affected. The next backup copies what was found damaged again. Tell the support team.',
  },
  ERR_RESTORE_TARGET: {
    status: 422,
    what: 'The target of the restore cannot be used.',
    data: NOTHING_CHANGED,
    action: 'Choose an empty folder, or a prefix outside of every backup job.',
  },
  ERR_NAME_CASE: {
    what: 'The target takes two file names for one that differ by upper and lower case only.',
    data: 'One of them was restored; the backup itself was not changed.',
    action: 'Restore the files that the report names to another place, such as a bucket.',
  },
  ERR_HOLD_LOST: {
    status: 409,
    what: 'The restore point was released while it was in use.',
    data: 'What was restored so far may be incomplete.',
    action: 'Start the restore again.',
  },

  // --- runs ---
  ERR_SLOT_OVERLAP: {
    what: 'The scheduled run was skipped because the run before it was still active.',
    data: UNTOUCHED,
    action: 'Nothing, if it happens rarely; otherwise schedule the job less often.',
  },
  ERR_SLOT_MISSED: {
    what: 'The scheduled run was skipped because it was missed and the job does not catch up.',
    data: UNTOUCHED,
    action: 'Start a run by hand, or let the job catch up missed runs.',
  },
  ERR_SCHEDULE_INVALID: {
    what: 'The schedule of the job is not valid, so no further runs are planned.',
    data: UNTOUCHED,
    action: 'Open the job and save its schedule again.',
  },
  ERR_WORKER_LOST: {
    what: 'The worker that carried out the run was lost, and no attempts are left.',
    data: UNTOUCHED,
    action: 'Run the job again; if it happens again, tell the support team.',
  },
  ERR_QUEUE_EXPIRED: {
    what: 'The run waited too long for a worker or agent.',
    data: UNTOUCHED,
    action: 'Check that a worker is running.',
  },
  ERR_AGENT_OFFLINE: {
    what: 'The agent of this job was offline for too long.',
    data: UNTOUCHED,
    action: 'Check that the computer is on and its agent is running, then run the job again.',
  },
  ERR_CANCELLED: { what: 'The run was cancelled.', data: UNTOUCHED, action: 'Run the job again when you want to.' },
  ERR_RCLONE_START: {
    what: 'The transfer program could not be started.',
    data: UNTOUCHED,
    action: 'An operator runs bin/worker --check on the worker.',
  },
  ERR_RCLONE_KILLED: {
    what: 'The transfer program was ended from outside.',
    data: UNTOUCHED,
    action: 'The run is tried again. If it stays, check the memory of the worker.',
    transient: true,
  },
  ERR_TRANSFER: {
    what: 'The transfer failed.',
    data: UNTOUCHED,
    action: 'Look at the events of the run, then run the job again.',
    transient: true,
  },
  ERR_LEASE_LOST: {
    what: 'The worker lost its lease on the run, so it stopped.',
    data: UNTOUCHED,
    action: 'Nothing: another worker carries on.',
  },
  ERR_WORKER_STOPPING: {
    what: 'The worker is being stopped and hands the run back.',
    data: UNTOUCHED,
    action: 'Nothing: another worker carries on.',
  },
  ERR_YIELDED: {
    what: 'Maintenance made way for a backup.',
    data: UNTOUCHED,
    action: 'Nothing: it continues by itself.',
  },
  ERR_DISK_FULL: {
    what: 'The disk is full.',
    data: UNTOUCHED,
    action: 'Free space in the folder that is named, then start again.',
  },
  ERR_INTERNAL: {
    what: 'The run met an unexpected error.',
    data: UNTOUCHED,
    action: 'Run the job again; if it stays, tell the support team the number of the run.',
  },

  // --- secrets ---
  ERR_NO_ENCRYPTION_KEY: {
    what: 'No encryption key is configured.',
    data: UNTOUCHED,
    action: 'Set CLOUD_BACKUP_ENCRYPTION_KEY for portal and workers.',
  },
  ERR_KEY_UNKNOWN: {
    what: 'A secret was encrypted with a key that is not configured.',
    data: UNTOUCHED,
    action: 'Add the former key to CLOUD_BACKUP_ENCRYPTION_KEY_PREVIOUS.',
  },
  ERR_SECRET_CORRUPT: {
    what: 'An encrypted value in the database is damaged.',
    data: UNTOUCHED,
    action: 'Enter the value again, or restore the row from a backup of the database.',
  },
  ERR_CRYPT_KEYS_MISSING: {
    status: 409,
    what: 'The keys of this encrypted job are not in the database.',
    data: 'The backups lie in the bucket as they were, together with their keys, which only this installation can unwrap.',
    action: 'An operator runs bin/reindex for this job: it takes the keys from the bucket.',
  },
  ERR_CRYPT_KEYS_OTHER: {
    what: 'The folder of the backup was encrypted with other keys than the job has, or the job does not know that it is encrypted.',
    data: 'Nothing was written and nothing was deleted.',
    action: 'An operator runs bin/reindex for this job: it takes the keys from the bucket.',
  },
  ERR_DECRYPT_SOURCE_CONFIG: {
    status: 409,
    what: 'The stored credentials of the source cannot be decrypted.',
    data: UNTOUCHED,
    action: 'Enter the credentials again in the job, or give the worker the right key.',
  },
  ERR_DECRYPT_DEST_ACCESS_KEY: {
    what: 'The access key of the storage account cannot be decrypted.',
    data: UNTOUCHED,
    action: 'Give the worker the encryption key of the portal.',
  },
  ERR_DECRYPT_DEST_SECRET_KEY: {
    what: 'The secret key of the storage account cannot be decrypted.',
    data: UNTOUCHED,
    action: 'Give the worker the encryption key of the portal.',
  },

  // --- set-up ---
  ERR_USAGE: {
    what: 'The command line is not understood.',
    data: NOTHING_CHANGED,
    action: 'Run the command with --help to see what can be given.',
  },
  ERR_CONFIG_INVALID: {
    what: 'The configuration is not valid.',
    data: NOTHING_CHANGED,
    action: 'Correct every line that is named.',
  },
  ERR_SCHEMA_FOREIGN: {
    what: 'The database holds a table with one of our names that we did not make.',
    data: 'Nothing was altered.',
    action: 'Use another database, or rename the table that is named.',
  },
  ERR_SCHEMA_OLD: {
    what: 'The tables of the database are older than this program.',
    data: NOTHING_CHANGED,
    action: 'Run bin/migrate.',
  },
  ERR_DATABASE_UNREACHABLE: {
    status: 503,
    what: 'The database cannot be reached.',
    data: UNTOUCHED,
    action: 'Check that it runs and that host, user and password are right.',
    transient: true,
  },
  ERR_TOOL_MISSING: {
    what: 'A program that is needed is missing.',
    data: NOTHING_CHANGED,
    action: 'Install what the message names, then start again.',
  },
  ERR_TOOL_WRONG: {
    what: 'A program has another version or hash than it should have.',
    data: NOTHING_CHANGED,
    action: 'Remove the file that is named and start again; it is fetched anew.',
  },
  ERR_PORT_IN_USE: {
    what: 'The port is in use by another program.',
    data: NOTHING_CHANGED,
    action: 'Choose another port with --port.',
  },
  ERR_DATA_DIR: {
    what: 'The data folder cannot be written.',
    data: NOTHING_CHANGED,
    action: 'Choose another folder with --data-dir, or give this user the right to write it.',
  },
  ERR_DATA_DIR_LOCKED: {
    what: 'The data folder is in use by another start of the same program.',
    data: NOTHING_CHANGED,
    action: 'Stop that one first, or choose another folder with --data-dir.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof entries;

export const catalogue: Readonly<Record<ErrorCode, ErrorEntry>> = entries;

/** True when a run that failed with this code may be tried again by itself. */
export function isTransient(code: ErrorCode): boolean {
  return catalogue[code].transient === true;
}
