import { invalidFields } from '../errors/invalid-fields.ts';

/**
 * Where the next page begins, as text that a browser carries along: a list of texts in base64url. It names places of a point that its
 * owner may read anyway, so there is nothing in it to protect.
 */
export function writeCursor(parts: readonly string[]): string {
  return Buffer.from(JSON.stringify(parts), 'utf8').toString('base64url');
}

/** @throws BackupError `INVALID_INPUT` for anything but a cursor of `count` texts */
export function readCursor(cursor: string, count: number): readonly string[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (isTexts(parts) && parts.length === count) return parts;
  } catch {
    // Told below, like every other thing that is no cursor.
  }
  throw badCursor();
}

export function badCursor(): Error {
  return invalidFields([['cursor', 'must be the value of "next" of an earlier answer to the same question']]);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((part) => typeof part === 'string' && part.isWellFormed());
}
