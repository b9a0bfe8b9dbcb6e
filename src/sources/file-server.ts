import { pathOfRcloneName } from '../layout/encoding.ts';
import type { LogLine } from '../engines/rclone/log.ts';
import { DEEPEST_FOLDER } from './endless.ts';
import type { ListingNotice } from './source-type.ts';

/** Names from which no path can be made (a slash or backslash in a name): rclone leaves them out, says so, and ends with code 0. */
export function ignoredEntries({ message, object }: LogLine): ListingNotice | null {
  if (!/^Entry doesn't belong in directory .* - ignoring$/s.test(message) || object === null) return null;
  return { type: 'skipped', path: pathOfRcloneName(Buffer.from(object)), reason: 'bad_name' };
}

/** Of listings of servers that are walked folder by folder: so many at once, and none deeper than anything that can be kept. */
export const walkFlags = (folders: number): string[] => [
  ...['--checkers', String(folders)],
  ...['--max-depth', String(DEEPEST_FOLDER)],
];
