import { catalogue, type ErrorCode } from '../errors/catalogue.ts';

/** Why one file could not be taken as the source has it; the second part of a sentence. */
const reasons: Readonly<Record<string, string>> = {
  FILE_CHANGED_MEANWHILE: 'it changed while it was copied',
  FILE_VANISHED: 'it vanished after it was listed',
  FILE_NOT_ARRIVED: 'it did not arrive whole',
  FOLDER_UNREADABLE: 'its folder could not be listed',
  DUPLICATE_NAME: 'two files or folders have this same name, and only one can be stored under it',
  SYMLINK: 'it is a link, and what it leads to is backed up under its own name or does not exist',
  SYMLINK_LOOP: 'it is a link that leads to itself',
  SPECIAL_FILE: 'it is not an ordinary file',
  BAD_NAME: 'its name cannot be stored',
  UNEXPORTABLE: 'the service gives it out in no file form (forms, sites and maps among others)',
  SIZE_UNTOLD: 'its server does not say how large it is, and calls it empty, which it is not',
  OBJECT_MISSING: 'its object is gone from the bucket',
  OBJECT_SIZE: 'its object in the bucket has another size than was backed up',
  OBJECT_DIFFERS: 'its object in the bucket holds other bytes than were backed up',
  NO_CHECKSUM: 'its size is right; no checksum is known to compare its content by',
  SOURCE_DIFFERS: 'the source holds other bytes under the same date as at the backup',
  SOURCE_CHANGED: 'the source has another version since the backup',
  SOURCE_DELETED: 'it was deleted at the source since the backup',
  ERR_MANIFEST_INVALID: 'this part of the restore point’s list of files is missing or altered',
  FILE_MISSING: 'it is not at the target',
  FILE_DIFFERS: 'it differs from what was backed up',
  FILE_NOT_IN_POINT: 'the restore point has no version of it',
  FILE_SIZE_ONLY: 'it could be compared by size only',
  FILE_EXISTS: 'a file of this name was there already',
  FILE_NOT_NEWER: 'the file that was there is not older',
  ERR_OBJECT_MISSING: 'its object is missing in the bucket',
  ERR_NAME_CASE: 'its name differs from that of another file by upper and lower case only',
  PREFIX_TAKEN: 'it would lie in the folder of a backup',
  ERR_RESTORE_TARGET: 'something else lies in its place',
  ERR_KEY_TOO_LONG: 'its name is too long for the storage',
  ERR_PERMISSION: 'access to it was refused',
  ERR_NETWORK: 'the connection failed',
  ERR_TRANSFER: 'its transfer failed',
  ERR_SOURCE_NOT_FOUND: 'it does not exist any more',
};

/** `code` is a file problem's code or an error code; unknown ones are not explained. */
export function fileProblemReason(code: string): string {
  const known = reasons[code];
  if (known !== undefined) return known;
  const error = catalogue[code as ErrorCode] as { what: string } | undefined;
  return error === undefined ? 'it could not be read' : lowerFirst(error.what.replace(/\.$/, ''));
}

function lowerFirst(sentence: string): string {
  return sentence.slice(0, 1).toLowerCase() + sentence.slice(1);
}
