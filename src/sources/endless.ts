import { BackupError } from '../errors/backup-error.ts';

/** No key of the destination has more folders: each takes two bytes of 1,024. */
export const DEEPEST_FOLDER = 512;
/** A source that holds more is taken for one that invents names. */
export const MOST_ENTRIES = 200_000_000;

/** Of a source whose listing has no end. */
export function endlessListing(): BackupError {
  return new BackupError(
    'ERR_SOURCE_LISTING',
    'The source lists files or folders without end. Look for a folder that contains itself, and choose a path without it.',
  );
}
