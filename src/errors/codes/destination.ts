import { NOTHING_CHANGED, UNTOUCHED, type ErrorEntry } from '../entry.ts';

/** What goes wrong in the bucket, and with what lies there. */
export const destinationErrors = {
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
    what: 'A large file was read in several parts, or on after its connection broke, and what the source sent did not fit what came before: the file was written to meanwhile, or the server, or a proxy before it, ignores byte ranges.',
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
} as const satisfies Record<string, ErrorEntry>;
