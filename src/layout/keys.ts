import { createHash } from 'node:crypto';
import { BackupError } from '../errors/backup-error.ts';
import { isPath, keyOfPath, pathOfKey } from './encoding.ts';
import { utf8Length } from './order.ts';

/**
 * Every key of the format, built and taken apart in one place. Keys are relative to the job's prefix `P` (which ends in a slash)
 * unless a parameter says otherwise. `parseKey` is strict: it is asked before anything is deleted, and customers can write to
 * their own bucket.
 */
export const OWNER_KEY = 'e3-owner.json';
export const CRYPT_KEYS_KEY = 'e3-keys.json';
export const MANIFESTS_FOLDER = 'manifests/';
export const CHUNKS_FOLDER = 'manifests/chunks/';
export const RUN_FOLDER_START = 'run_';

/** S3's limit for a whole key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024;
/** Leaves room for the longest fixed part of a key and for names of a useful length. */
export const MAX_PREFIX_BYTES = 400;

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
const CLAIM = 'c[1-9][0-9]{0,8}-[0-9a-f]{8}';
const SHAPES = {
  claim: /^c([1-9][0-9]{0,8})-([0-9a-f]{8})$/,
  uuid: new RegExp(`^${UUID}$`),
  runFolder: new RegExp(`^run_(${UUID})/$`),
  claimFolder: new RegExp(`^run_(${UUID})/(${CLAIM})/$`),
  file: new RegExp(`^run_(${UUID})/(${CLAIM})/files/(.+)$`, 's'),
  below: new RegExp(`^((?:.*/)?run_${UUID}/${CLAIM}/files)(?:/(.*))?$`, 's'),
  archive: new RegExp(`^run_(${UUID})/(${CLAIM})/archive\\.tar\\.zst(?:\\.([0-9]{3,6}))?$`),
  chunk: new RegExp(`^manifests/chunks/([0-9a-f]{64})\\.(${UUID})\\.(${CLAIM})$`),
  document: new RegExp(`^manifests/(${UUID})\\.(${CLAIM})\\.(json|ok|pruned)$`),
} as const;

export interface ClaimName {
  readonly number: number;
  /** `c<number>-<8 hex>` */
  readonly name: string;
}

/** `c<number>-<8 hex>`; `random` is 4 random bytes. A claim's name never comes back, not even with the same number. */
export function claimName(number: number, random: Uint8Array): string {
  if (!Number.isSafeInteger(number) || number < 1 || number > 999_999_999) throw new RangeError('claim number');
  if (random.length !== 4) throw new RangeError('a claim name takes 4 random bytes');
  return `c${number}-${Buffer.from(random).toString('hex')}`;
}

export function parseClaimName(name: string): ClaimName | null {
  const match = SHAPES.claim.exec(name);
  return match === null ? null : { number: Number(match[1]), name };
}

/** Number of a claim name that is known to be one. Throws RangeError otherwise. */
export function claimNumber(name: string): number {
  const claim = parseClaimName(name);
  if (claim === null) throw new RangeError(`not a claim name: ${name}`);
  return claim.number;
}

export function isUuid(text: string): boolean {
  return SHAPES.uuid.test(text);
}

export const runFolder = (run: string): string => `${RUN_FOLDER_START}${run}/`;
export const claimFolder = (run: string, claim: string): string => `${runFolder(run)}${claim}/`;
export const filesFolder = (run: string, claim: string): string => `${claimFolder(run, claim)}files/`;
/** How the names of a job's files become keys below `files/`: by the encoding of the format, or encrypted (src/crypt). */
export interface FileNames {
  keyOfPath(path: string): string;
  /** The path of the file at this key; null for a key that no path has. */
  pathOfKey(key: string): string | null;
}
export const PLAIN_NAMES: FileNames = {
  keyOfPath,
  pathOfKey: (key) => {
    const path = pathOfKey(key);
    return keyOfPath(path) === key ? path : null;
  },
};
/** Where this claim puts the file of this path. */
export const fileKey = (run: string, claim: string, path: string, names: FileNames = PLAIN_NAMES): string =>
  filesFolder(run, claim) + names.keyOfPath(path);
/** `part` counts from 1; the first one has no number in its name. */
export const archiveKey = (run: string, claim: string, part = 1): string =>
  `${claimFolder(run, claim)}archive.tar.zst${part === 1 ? '' : `.${String(part).padStart(3, '0')}`}`;
/**
 * What a file's object stays or goes with: itself, or the first object of its archive. A file may begin in one object of an archive and end in
 * another, so an archive of which one file is needed stays whole.
 */
export function keptTogether(key: string): string {
  const match = key.startsWith(RUN_FOLDER_START) ? SHAPES.archive.exec(key) : null;
  return match === null ? key : archiveKey(text(match[1]), text(match[2]));
}
/** `hash`: SHA-256 in hex of the uncompressed lines. */
export const chunkKey = (hash: string, run: string, claim: string): string => `${CHUNKS_FOLDER}${hash}.${run}.${claim}`;
export const manifestKey = (run: string, claim: string): string => `${MANIFESTS_FOLDER}${run}.${claim}.json`;
export const okKey = (run: string, claim: string): string => `${MANIFESTS_FOLDER}${run}.${claim}.ok`;
export const tombstoneKey = (run: string, claim: string): string => `${MANIFESTS_FOLDER}${run}.${claim}.pruned`;

export type ParsedKey =
  | { readonly kind: 'owner' }
  | { readonly kind: 'crypt_keys' }
  | { readonly kind: 'file'; readonly run: string; readonly claim: string; readonly name: string }
  | { readonly kind: 'archive'; readonly run: string; readonly claim: string; readonly part: number }
  | { readonly kind: 'chunk'; readonly run: string; readonly claim: string; readonly hash: string }
  | { readonly kind: 'manifest' | 'ok' | 'tombstone'; readonly run: string; readonly claim: string };

const DOCUMENT_KINDS = { json: 'manifest', ok: 'ok', pruned: 'tombstone' } as const;

/** What a key (relative to `P`) is, or null when nothing of the format has this shape. */
export function parseKey(key: string): ParsedKey | null {
  if (key === OWNER_KEY) return { kind: 'owner' };
  if (key === CRYPT_KEYS_KEY) return { kind: 'crypt_keys' };
  if (key.startsWith(RUN_FOLDER_START)) return parseRunKey(key);
  const chunk = SHAPES.chunk.exec(key);
  if (chunk !== null) return { kind: 'chunk', hash: text(chunk[1]), run: text(chunk[2]), claim: text(chunk[3]) };
  const document = SHAPES.document.exec(key);
  if (document === null) return null;
  const kind = DOCUMENT_KINDS[document[3] as keyof typeof DOCUMENT_KINDS];
  return { kind, run: text(document[1]), claim: text(document[2]) };
}

function parseRunKey(key: string): ParsedKey | null {
  const file = SHAPES.file.exec(key);
  if (file !== null) return { kind: 'file', run: text(file[1]), claim: text(file[2]), name: text(file[3]) };
  const archive = SHAPES.archive.exec(key);
  if (archive === null) return null;
  return { kind: 'archive', run: text(archive[1]), claim: text(archive[2]), part: Number(archive[3] ?? '1') };
}

/**
 * A full key at or below `…/run_<run>/<claim>/files`: that folder, and the name below it ('' for the folder itself); null for any other.
 */
export function splitFilesKey(key: string): { readonly folder: string; readonly name: string } | null {
  const match = SHAPES.below.exec(key);
  return match === null ? null : { folder: text(match[1]), name: text(match[2]) };
}

/** The run of a folder `run_<uuid>/`, or null. */
export function parseRunFolder(folder: string): string | null {
  return SHAPES.runFolder.exec(folder)?.[1] ?? null;
}

/** Run and claim of a folder `run_<uuid>/<claim>/`, or null. */
export function parseClaimFolder(folder: string): { readonly run: string; readonly claim: string } | null {
  const match = SHAPES.claimFolder.exec(folder);
  return match === null ? null : { run: text(match[1]), claim: text(match[2]) };
}

function text(group: string | undefined): string {
  return group ?? '';
}

/** Whether `P` and a key relative to it make more than S3 takes. */
export function isKeyTooLong(prefix: string, key: string): boolean {
  // Three bytes are the most that one UTF-16 unit takes: most keys need no counting.
  if ((prefix.length + key.length) * 3 <= MAX_KEY_BYTES) return false;
  return utf8Length(prefix) + utf8Length(key) > MAX_KEY_BYTES;
}

/**
 * A job's prefix in its one spelling: no leading slash, one trailing slash. Left empty it is `e3-<job uuid>/`, so no job ever has
 * the whole bucket. Characters that rclone would replace in a key are refused, because our own requests and rclone's must mean the
 * same key.
 * @throws BackupError `INVALID_INPUT` with `details.field`
 */
export function normalisePrefix(input: string, jobUuid: string): string {
  const bare = input.replace(/^\/+|\/+$/g, '');
  if (bare === '') return `e3-${jobUuid}/`;
  if (!isPath(bare) || keyOfPath(bare) !== bare) {
    throw refusedPrefix('The folder may not hold empty names, ".", "..", backslashes or control characters.');
  }
  const prefix = `${bare}/`;
  if (utf8Length(prefix) > MAX_PREFIX_BYTES)
    throw refusedPrefix(`The folder is longer than ${MAX_PREFIX_BYTES} bytes.`);
  return prefix;
}

function refusedPrefix(message: string): BackupError {
  return new BackupError('INVALID_INPUT', message, { details: { field: 'dest_prefix' } });
}

/** Whether one of two normalised prefixes is the other, or lies in it. Compares bytes: case and unicode forms are distinct. */
export function prefixesOverlap(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a);
}

/** The prefixes that enclose this one, outermost first: `a/b/c/` → `a/`, `a/b/`. */
export function enclosingPrefixes(prefix: string): string[] {
  const segments = prefix.split('/').slice(0, -2);
  return segments.map((_, i) => `${segments.slice(0, i + 1).join('/')}/`);
}

/** What the table of taken prefixes is unique by: SHA-256 in hex of bucket name and normalised prefix. */
export function prefixHash(bucket: string, prefix: string): string {
  return createHash('sha256').update(bucket, 'utf8').update('\0').update(prefix, 'utf8').digest('hex');
}
