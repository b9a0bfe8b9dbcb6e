import { expect, it } from '@jest/globals';
import type { BackupEvent, FileProblemCode } from '../../src/backup/ledger.ts';
import type { ErrorCode } from '../../src/errors/catalogue.ts';
import { definitionOf, type EventParams, type MessageId } from '../../src/events/catalogue.ts';
import { fileProblemReason } from '../../src/events/file-problems.ts';

/** Compiles only if every event of the backup protocol is one of the catalogue and has the parameters that its text needs. */
type Code = BackupEvent['code'];
type Fits = {
  [One in Code]: One extends MessageId
    ? Extract<BackupEvent, { code: One }>['params'] extends EventParams<One>
      ? 'fits'
      : One
    : One;
};
const fits: Record<keyof Fits, 'fits'> & Fits = {
  MARKER_CREATED: 'fits',
  POINT_ADOPTED: 'fits',
  ROLLED_FORWARD: 'fits',
  LISTED: 'fits',
  COMPARED: 'fits',
  DAMAGED_COPIED_AGAIN: 'fits',
  FILES_REUSED: 'fits',
  LISTING_INCOMPLETE: 'fits',
  FOLDERS_UNREADABLE: 'fits',
  FILE_PROBLEMS: 'fits',
  RETENTION_FROZEN: 'fits',
};

const problems: Record<Exclude<FileProblemCode, ErrorCode>, true> = {
  FILE_CHANGED_MEANWHILE: true,
  FILE_VANISHED: true,
  FILE_NOT_ARRIVED: true,
  FOLDER_UNREADABLE: true,
  DUPLICATE_NAME: true,
  SYMLINK: true,
  SYMLINK_LOOP: true,
  SPECIAL_FILE: true,
  BAD_NAME: true,
  UNEXPORTABLE: true,
  SIZE_UNTOLD: true,
};

it('the catalogue knows every event of the backup protocol', () => {
  for (const id of Object.keys(fits)) expect(definitionOf(id)).toBeDefined();
});

it('the catalogue explains every problem of a file', () => {
  for (const code of Object.keys(problems)) expect(fileProblemReason(code)).not.toBe('it could not be read');
});
