import { isUtf8 } from 'node:buffer';

/**
 * How a path becomes an object key or a local file name, and back: the same replacements that rclone makes
 * (https://rclone.org/overview/#encoding; its lib/encoder), so that what it writes is found here and what is written here reads
 * there. Characters that a place cannot hold are replaced by look-alikes (newline → ␊), a look-alike that was in the name already
 * is quoted by ‛, and a byte that is not UTF-8 becomes ‛ and two hex digits.
 *
 * A *path* in this package is UTF-8, its segments as `PATH` encodes them: rclone's standard form, with invalid bytes escaped.
 */
export interface NameEncoding {
  readonly backSlash: boolean;
  readonly controls: boolean;
  readonly invalidUtf8: boolean;
}

/** rclone's standard form as rclone itself holds it in memory: invalid bytes are left as they are. */
const STANDARD: NameEncoding = { backSlash: false, controls: true, invalidUtf8: false };
/** Paths of entries. */
const PATH: NameEncoding = { backSlash: false, controls: true, invalidUtf8: true };
/** Object keys of the destination. */
const DESTINATION: NameEncoding = { backSlash: true, controls: true, invalidUtf8: true };
/** File names on Linux: only NUL, the slash and the dot names cannot be. */
const LOCAL: NameEncoding = { backSlash: false, controls: false, invalidUtf8: false };

/** rclone's option `encoding` of the destination, also what the owner marker records. */
export const DESTINATION_ENCODING = 'Slash,BackSlash,Ctl,Del,InvalidUtf8,Dot';

const QUOTE = 0x201b; // ‛
const SYMBOL_NUL = 0x2400; // ␀, followed by the symbols of the other control characters
const SYMBOL_DEL = 0x2421; // ␡
const FULL_STOP = 0xff0e; // ．
const FULL_SOLIDUS = 0xff0f; // ／
const FULL_BACKSLASH = 0xff3c; // ＼
const DOT = 0x2e;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const DEL = 0x7f;

/** A name as code points; a byte that is not part of valid UTF-8 is its negative value minus one. */
type Runes = number[];

const invalidByte = (byte: number): number => -1 - byte;

/** Nothing in a text without these is ever replaced: by far the most paths. */
const SPECIAL = /[\u0000-\u001f\u007f\\\u201b\u2400-\u2421\uff0e\uff0f\uff3c]|(?:^|\/)\.{1,2}(?:\/|$)/;

/** Object key (relative to the folder the path's file lies in) for a path. */
export function keyOfPath(path: string): string {
  return SPECIAL.test(path)
    ? bySegment(path, (name) => textOf(encode(DESTINATION, reread(decode(PATH, runesOf(name))))))
    : path;
}

/** The path for a key that `keyOfPath` or rclone made; keys that nobody makes so give some path, never an error. */
export function pathOfKey(key: string): string {
  return SPECIAL.test(key)
    ? bySegment(key, (name) => textOf(encode(PATH, reread(decode(DESTINATION, runesOf(name))))))
    : key;
}

/** The bytes by which rclone itself knows this path, for its command line, `--files-from-raw` and listings. */
export function rcloneNameOfPath(path: string): Buffer {
  if (!SPECIAL.test(path)) return Buffer.from(path, 'utf8');
  return segmentsToBuffer(path, (name) => encode(STANDARD, reread(decode(PATH, runesOf(name)))));
}

/** The path for a name that rclone printed (`lsf`; its JSON output replaces invalid bytes and cannot be used for them). */
export function pathOfRcloneName(name: Buffer): string {
  if (isUtf8(name)) {
    const text = name.toString('utf8');
    if (!SPECIAL.test(text)) return text;
  }
  return splitBuffer(name)
    .map((segment) => textOf(encode(PATH, reread(decode(STANDARD, runesOfBytes(segment))))))
    .join('/');
}

/**
 * The bytes by which the source itself knows a path: an S3 key, a path of a Unix server. They are what rclone uses with the encoding
 * `Raw`, the only one in which every name of a source can be read (with any other, look-alikes and dot names are taken for others).
 */
export function nativeNameOfPath(path: string): Buffer {
  if (!SPECIAL.test(path)) return Buffer.from(path, 'utf8');
  return segmentsToBuffer(path, (name) => decode(PATH, runesOf(name)));
}

/** The path for the native name of a source's file. A name with empty segments makes no path: see `isPath`. */
export function pathOfNativeName(name: Buffer | string): string {
  if (typeof name === 'string' ? name.isWellFormed() : isUtf8(name)) {
    const text = name.toString();
    if (!SPECIAL.test(text)) return text;
  }
  return splitBuffer(Buffer.from(name))
    .map((segment) => textOf(encode(PATH, runesOfBytes(segment))))
    .join('/');
}

/** The file name, in the bytes of a Linux file system, that rclone gives a restored file. */
export function localNameOfPath(path: string): Buffer {
  if (!SPECIAL.test(path)) return Buffer.from(path, 'utf8');
  return segmentsToBuffer(path, (name) => encode(LOCAL, reread(decode(PATH, runesOf(name)))));
}

/**
 * Whether a text is a path: relative, no empty segment, no `.` or `..`, no control character, in the one spelling that `PATH`
 * gives it. Whatever leaves a bucket is held to this before it names a file.
 */
export function isPath(text: string): boolean {
  if (text === '' || text.startsWith('/') || text.endsWith('/') || text.includes('//')) return false;
  if (!text.isWellFormed()) return false;
  if (!SPECIAL.test(text)) return true;
  return text === bySegment(text, (name) => textOf(encode(PATH, reread(decode(PATH, runesOf(name))))));
}

function bySegment(path: string, change: (name: string) => string): string {
  return path.split('/').map(change).join('/');
}

function segmentsToBuffer(path: string, change: (name: string) => Runes): Buffer {
  const parts = path.split('/').map((name) => bytesOf(change(name)));
  return Buffer.concat(parts.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from('/'), part])));
}

function splitBuffer(name: Buffer): Buffer[] {
  const segments: Buffer[] = [];
  let start = 0;
  for (let at = name.indexOf(SLASH); at !== -1; at = name.indexOf(SLASH, start)) {
    segments.push(name.subarray(start, at));
    start = at + 1;
  }
  segments.push(name.subarray(start));
  return segments;
}

function encode(encoding: NameEncoding, name: Runes): Runes {
  const dots = encodeDotName(name);
  if (dots !== null) return dots;
  const out: Runes = [];
  for (const rune of name) {
    if (rune < 0) {
      if (encoding.invalidUtf8) out.push(QUOTE, ...hexDigits(-1 - rune));
      else out.push(rune);
    } else if (rune === QUOTE || isReplacement(encoding, rune)) {
      out.push(QUOTE, rune);
    } else {
      out.push(replacementOf(encoding, rune) ?? rune);
    }
  }
  return out;
}

function encodeDotName(name: Runes): Runes | null {
  const one = name.length === 1;
  const two = name.length === 2 && name[0] === name[1];
  if (!one && !two) return null;
  if (name[0] === DOT) return name.map(() => FULL_STOP);
  if (name[0] === FULL_STOP) return name.flatMap((stop) => [QUOTE, stop]);
  return null;
}

function decode(encoding: NameEncoding, name: Runes): Runes {
  const dots = decodeDotName(name);
  if (dots !== null) return dots;
  const out: Runes = [];
  for (let i = 0; i < name.length; i += 1) {
    const rune = name[i] as number;
    if (rune !== QUOTE) {
      out.push(originalOf(encoding, rune) ?? rune);
      continue;
    }
    const next = name[i + 1];
    if (next === QUOTE || (next !== undefined && isReplacement(encoding, next))) {
      out.push(next);
      i += 1;
      continue;
    }
    const byte = encoding.invalidUtf8 ? byteOfHex(next, name[i + 2]) : null;
    if (byte === null) {
      // A quote before something that needs none stays what it is.
      out.push(QUOTE);
    } else {
      out.push(invalidByte(byte));
      i += 2;
    }
  }
  return out;
}

function decodeDotName(name: Runes): Runes | null {
  if (name.length === 0 || name.length > 4) return null;
  if (name.length <= 2 && name.every((rune) => rune === FULL_STOP)) return name.map(() => DOT);
  const quoted = name.length % 2 === 0 && name.every((rune, i) => rune === (i % 2 === 0 ? QUOTE : FULL_STOP));
  return quoted ? name.filter((rune) => rune !== QUOTE) : null;
}

/** What stands for a character that cannot be, or null. */
function replacementOf(encoding: NameEncoding, rune: number): number | null {
  if (rune === 0) return SYMBOL_NUL;
  if (rune === SLASH) return FULL_SOLIDUS;
  if (encoding.backSlash && rune === BACKSLASH) return FULL_BACKSLASH;
  if (encoding.controls && rune < 0x20) return SYMBOL_NUL + rune;
  if (encoding.controls && rune === DEL) return SYMBOL_DEL;
  return null;
}

function originalOf(encoding: NameEncoding, rune: number): number | null {
  if (!isReplacement(encoding, rune)) return null;
  if (rune === FULL_SOLIDUS) return SLASH;
  if (rune === FULL_BACKSLASH) return BACKSLASH;
  if (rune === SYMBOL_DEL) return DEL;
  return rune - SYMBOL_NUL;
}

function isReplacement(encoding: NameEncoding, rune: number): boolean {
  if (rune === SYMBOL_NUL || rune === FULL_SOLIDUS) return true;
  if (rune === FULL_BACKSLASH) return encoding.backSlash;
  return encoding.controls && ((rune > SYMBOL_NUL && rune < SYMBOL_NUL + 0x20) || rune === SYMBOL_DEL);
}

function hexDigits(byte: number): number[] {
  return Array.from(byte.toString(16).toUpperCase().padStart(2, '0'), (digit) => digit.charCodeAt(0));
}

function byteOfHex(first: number | undefined, second: number | undefined): number | null {
  if (first === undefined || second === undefined || first < 0 || second < 0 || first > DEL || second > DEL)
    return null;
  const text = String.fromCharCode(first, second);
  return /^[0-9A-Fa-f]{2}$/.test(text) ? Number.parseInt(text, 16) : null;
}

function runesOf(text: string): Runes {
  return Array.from(text, (character) => character.codePointAt(0) as number);
}

/** Escaped bytes that together are valid UTF-8 are one character to whoever reads the bytes; so they are to us. */
function reread(name: Runes): Runes {
  return name.some((rune) => rune < 0) ? runesOfBytes(bytesOf(name)) : name;
}

function textOf(name: Runes): string {
  return bytesOf(name).toString('utf8');
}

function bytesOf(name: Runes): Buffer {
  const parts: Buffer[] = [];
  let text = '';
  for (const rune of name) {
    if (rune >= 0) {
      text += String.fromCodePoint(rune);
      continue;
    }
    parts.push(Buffer.from(text, 'utf8'), Buffer.of(-1 - rune));
    text = '';
  }
  parts.push(Buffer.from(text, 'utf8'));
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}

/** Reads UTF-8 as Go does: whatever is not valid is taken byte by byte. */
function runesOfBytes(bytes: Buffer): Runes {
  const out: Runes = [];
  for (let i = 0; i < bytes.length;) {
    const length = sequenceLength(bytes[i] as number);
    const sequence = bytes.subarray(i, i + length);
    if (sequence.length === length && isUtf8(sequence)) {
      out.push(sequence.toString('utf8').codePointAt(0) as number);
      i += length;
    } else {
      out.push(invalidByte(bytes[i] as number));
      i += 1;
    }
  }
  return out;
}

function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}
