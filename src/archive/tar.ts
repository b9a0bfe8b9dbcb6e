import { FormatError } from '../layout/entries.ts';

/**
 * Members of a tar archive as POSIX.1-2001 (pax) writes them, which every tar of this century reads: a ustar header, and before it an extended
 * one where name, size or time do not fit into that.
 */
export const BLOCK_BYTES = 512;
/** Two empty blocks. */
export const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK_BYTES);

export interface TarMember {
  /** Path of the entry: UTF-8, relative. */
  readonly path: string;
  readonly size: number;
  /** RFC 3339, ends in Z, up to nanoseconds. */
  readonly mtime: string;
}

/** A member that was found in an archive. */
export interface FoundMember {
  readonly path: string;
  readonly size: number;
  /** Bytes of its headers. */
  readonly headerBytes: number;
}

const LONGEST_NAME = 100;
/** What eleven octal digits hold. */
const LARGEST_OCTAL = 0o77777777777;
const LONGEST_EXTENDED = 1024 * 1024;
const REGULAR = '0';
const EXTENDED = 'x';

/** Everything that stands before the content of a member. */
export function headerOf({ path, size, mtime }: TarMember): Buffer {
  const seconds = Math.floor(Date.parse(mtime.replace(/\.\d*/, '')) / 1000);
  const fraction = /\.(\d*?)0*Z$/.exec(mtime)?.[1] ?? '';
  const records: [string, string][] = [];
  const plainName = path.length <= LONGEST_NAME && /^[\x20-\x7e]*$/.test(path);
  if (!plainName) records.push(['path', path]);
  if (size > LARGEST_OCTAL) records.push(['size', String(size)]);
  const plainTime = fraction === '' && seconds >= 0 && seconds <= LARGEST_OCTAL;
  if (!plainTime) records.push(['mtime', timeText(seconds, fraction)]);
  const shown = {
    name: plainName ? path : 'e3-long-name',
    size: size > LARGEST_OCTAL ? 0 : size,
    seconds: Math.min(Math.max(seconds, 0), LARGEST_OCTAL),
  };
  const main = ustar({ ...shown, type: REGULAR });
  if (records.length === 0) return main;
  const extended = Buffer.concat(records.map(([name, value]) => recordOf(name, value)));
  const before = ustar({ name: 'e3-pax-header', size: extended.length, seconds: shown.seconds, type: EXTENDED });
  return Buffer.concat([before, extended, Buffer.alloc(paddingOf(extended.length)), main]);
}

/** Bytes that fill the last block of so much content. */
export function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
}

/** Content and what fills its last block. */
export function paddedSize(size: number): number {
  return size + paddingOf(size);
}

/** How far a reader has come: `bytes` have to be there from the header's beginning on to go on. */
export type HeaderAnswer =
  | { readonly kind: 'member'; readonly member: FoundMember }
  | { readonly kind: 'more'; readonly bytes: number }
  /** The empty block at the end. */
  | { readonly kind: 'end' };

/**
 * Reads the headers of one member at the beginning of `bytes`, which may hold more.
 * @throws FormatError when no header of ours stands there
 */
export function readHeader(bytes: Buffer): HeaderAnswer {
  let at = 0;
  let records: ReadonlyMap<string, string> = new Map();
  for (;;) {
    if (bytes.length < at + BLOCK_BYTES) return { kind: 'more', bytes: at + BLOCK_BYTES };
    const block = bytes.subarray(at, at + BLOCK_BYTES);
    if (at === 0 && block.every((byte) => byte === 0)) return { kind: 'end' };
    requireChecksum(block);
    const type = block.toString('latin1', 156, 157);
    const size = octalAt(block, 124, 12);
    at += BLOCK_BYTES;
    if (type === REGULAR) {
      const found = {
        path: records.get('path') ?? textAt(block, 0, LONGEST_NAME),
        size: Number(records.get('size') ?? size),
        headerBytes: at,
      };
      if (!Number.isSafeInteger(found.size) || found.size < 0) throw new FormatError('size of a member');
      return { kind: 'member', member: found };
    }
    if (type !== EXTENDED || size > LONGEST_EXTENDED || records.size > 0)
      throw new FormatError('an unknown kind of member');
    const end = at + paddedSize(size);
    if (bytes.length < end) return { kind: 'more', bytes: end + BLOCK_BYTES };
    records = recordsIn(bytes.subarray(at, at + size));
    at = end;
  }
}

function ustar(fields: { name: string; size: number; seconds: number; type: string }): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(fields.name, 0, LONGEST_NAME, 'latin1');
  block.write('0000644\0', 100, 'latin1');
  block.write('0000000\0', 108, 'latin1');
  block.write('0000000\0', 116, 'latin1');
  block.write(octal(fields.size), 124, 'latin1');
  block.write(octal(fields.seconds), 136, 'latin1');
  block.write('        ', 148, 'latin1');
  block.write(fields.type, 156, 'latin1');
  block.write('ustar\u000000', 257, 'latin1');
  block.write(`${sumOf(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function octal(value: number): string {
  return `${value.toString(8).padStart(11, '0')}\0`;
}

function sumOf(block: Buffer): number {
  let sum = 0;
  for (const byte of block) sum += byte;
  return sum;
}

function requireChecksum(block: Buffer): void {
  let sum = sumOf(block);
  for (let at = 148; at < 156; at += 1) sum += 0x20 - (block[at] as number);
  if (octalAt(block, 148, 8) !== sum || block.toString('latin1', 257, 262) !== 'ustar')
    throw new FormatError('no header of a member where one must be');
}

function octalAt(block: Buffer, at: number, length: number): number {
  const text = block.toString('latin1', at, at + length).replace(/[\0 ]+$/, '');
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : NaN;
}

function textAt(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at);
  return block.toString('utf8', at, end < 0 || end > at + length ? at + length : end);
}

/** `<length> <name>=<value>\n`, the length counting itself. */
function recordOf(name: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${name}=${value}\n`);
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return Buffer.from(`${length} ${name}=${value}\n`, 'utf8');
}

function recordsIn(bytes: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString('latin1', at, Math.max(space, at)));
    const end = at + length;
    if (space < 0 || !Number.isSafeInteger(length) || end <= space || end > bytes.length || bytes[end - 1] !== 0x0a)
      throw new FormatError('an extended header cannot be read');
    const record = bytes.toString('utf8', space + 1, end - 1);
    const equals = record.indexOf('=');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at = end;
  }
  return records;
}

/** Seconds since 1970 with their fraction; before 1970 the fraction counts towards zero. */
function timeText(seconds: number, fraction: string): string {
  if (fraction === '') return String(seconds);
  if (seconds >= 0) return `${seconds}.${fraction}`;
  const scale = 10 ** fraction.length;
  const rest = String(scale - Number(fraction)).padStart(fraction.length, '0');
  return `-${-seconds - 1}.${rest}`;
}
