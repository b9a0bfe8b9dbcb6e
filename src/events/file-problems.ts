import { catalogue, type ErrorCode } from '../errors/catalogue.ts';

/** Why one file could not be taken as the source has it; the second part of a sentence. */
const reasons: Readonly<Record<string, string>> = {
  FILE_CHANGED_MEANWHILE: 'it changed while it was copied',
  FILE_VANISHED: 'it vanished after it was listed',
  FILE_NOT_ARRIVED: 'it did not arrive whole',
  FOLDER_UNREADABLE: 'its folder could not be listed',
  DUPLICATE_NAME: 'two files have this same name',
  SYMLINK: 'it is a link, and what it leads to is backed up under its own name or does not exist',
  SYMLINK_LOOP: 'it is a link that leads to itself',
  SPECIAL_FILE: 'it is not an ordinary file',
  BAD_NAME: 'its name cannot be stored',
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
