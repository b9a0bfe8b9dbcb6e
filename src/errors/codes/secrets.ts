import { UNTOUCHED, type ErrorEntry } from '../entry.ts';

/** What goes wrong with keys and sealed columns. */
export const secretErrors = {
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
} as const satisfies Record<string, ErrorEntry>;
