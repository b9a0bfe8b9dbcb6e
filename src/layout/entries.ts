import { isPath } from './encoding.ts';
import { parseKey } from './keys.ts';
import type { Entry, EntryState } from './types.ts';

/** Something in a bucket does not have the form it must have. The caller knows which object it was. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

const HASH = /^md5:[0-9a-f]{32}$/;
const MTIME = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?Z$/;
const FIELDS = new Set(['path', 'size', 'mtime', 'hash', 'key', 'state', 'offset', 'length']);
const STATES: ReadonlySet<string> = new Set<EntryState>(['stored', 'carried', 'failed']);

/** One line of a chunk, without its newline. The order of the fields is fixed, so equal entries are equal bytes. */
export function entryLine(entry: Entry): string {
  const hash = entry.hash === null ? 'null' : `"${entry.hash}"`;
  const archive =
    entry.offset === undefined || entry.length === undefined
      ? ''
      : `,"offset":${entry.offset},"length":${entry.length}`;
  return `{"path":${JSON.stringify(entry.path)},"size":${entry.size},"mtime":"${entry.mtime}","hash":${hash},"key":${JSON.stringify(entry.key)},"state":"${entry.state}"${archive}}`;
}

/** Reads one line; strict, because whoever owns the bucket can write to it. Throws FormatError. */
export function parseEntry(line: string): Entry {
  const entry = parseObject(line);
  const { path, size, mtime, hash, key, state } = entry;
  if (typeof path !== 'string' || !isPath(path)) throw new FormatError('an entry has no valid path');
  if (!isCount(size)) throw new FormatError(`size of ${path}`);
  if (typeof mtime !== 'string' || !isMtime(mtime)) throw new FormatError(`mtime of ${path}`);
  if (hash !== null && (typeof hash !== 'string' || !HASH.test(hash))) throw new FormatError(`hash of ${path}`);
  if (typeof state !== 'string' || !STATES.has(state)) throw new FormatError(`state of ${path}`);
  if (typeof key !== 'string' || !isObjectKey(key, state as EntryState)) throw new FormatError(`key of ${path}`);
  return { path, size, mtime, hash, key, state: state as EntryState, ...archiveFields(entry, path) };
}

function parseObject(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new FormatError('a line of a chunk is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FormatError('a line of a chunk is not an object');
  }
  for (const field in value) if (!FIELDS.has(field)) throw new FormatError(`unknown field ${field}`);
  return value as Record<string, unknown>;
}

/** Where an entry's bytes lie: in some claim's files, or in an archive; a failed entry has none. */
function isObjectKey(key: string, state: EntryState): boolean {
  if (state === 'failed') return key === '';
  const kind = parseKey(key)?.kind;
  return kind === 'file' || kind === 'archive';
}

function archiveFields(entry: Record<string, unknown>, path: string): { offset?: number; length?: number } {
  const { offset, length } = entry;
  if (offset === undefined && length === undefined) return {};
  if (!isCount(offset) || !isCount(length)) throw new FormatError(`place of ${path} in its archive`);
  return { offset, length };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** RFC 3339 in UTC with up to nanoseconds. */
export function isMtime(text: string): boolean {
  return MTIME.test(text);
}
