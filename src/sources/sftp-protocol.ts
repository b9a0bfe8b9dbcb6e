/**
 * The part of the SFTP protocol that reading folders needs (version 3, draft-ietf-secsh-filexfer-02; what every server speaks). Names
 * are bytes here, as they are on the wire: a client that makes text of them cannot open what is not UTF-8.
 */
export const VERSION = 3;

export const PACKET = {
  init: 1,
  version: 2,
  close: 4,
  lstat: 7,
  openDir: 11,
  readDir: 12,
  realPath: 16,
  stat: 17,
  status: 101,
  handle: 102,
  name: 104,
  attributes: 105,
} as const;

export const STATUS = { ok: 0, endOfFile: 1, noSuchFile: 2, permissionDenied: 3 } as const;

/** Servers send at most 34,000 bytes unless asked for more; whoever sends this much is no SFTP server. */
const LONGEST_PACKET = 4 * 1024 * 1024;

export type FileKind = 'file' | 'folder' | 'link' | 'special' | 'unknown';

export interface Attributes {
  readonly kind: FileKind;
  /** Bytes; -1 when the server does not tell. */
  readonly size: number;
  /** Seconds since 1970; null when the server does not tell. */
  readonly mtime: number | null;
}

export interface NamedAttributes extends Attributes {
  readonly name: Buffer;
}

export class MalformedPacket extends Error {}

/** Cuts a byte stream into packets without their length. */
export class PacketReader {
  #parts: Buffer[] = [];
  #bytes = 0;

  /** @throws MalformedPacket */
  *push(chunk: Buffer): Generator<Buffer> {
    this.#parts.push(chunk);
    this.#bytes += chunk.length;
    for (;;) {
      if (this.#bytes < 4) return;
      const head = this.#joined();
      const length = head.readUInt32BE(0);
      if (length < 1 || length > LONGEST_PACKET) throw new MalformedPacket(`a packet of ${length} bytes`);
      if (head.length < 4 + length) return;
      this.#parts = [head.subarray(4 + length)];
      this.#bytes = head.length - 4 - length;
      yield head.subarray(4, 4 + length);
    }
  }

  /** Joining costs the bytes that wait: only done when the packet may be whole. */
  #joined(): Buffer {
    const [first] = this.#parts;
    if (first !== undefined && this.#parts.length > 1 && first.length >= 4 && this.#bytes < 4 + first.readUInt32BE(0))
      return first;
    const joined = this.#parts.length === 1 && first ? first : Buffer.concat(this.#parts);
    this.#parts = [joined];
    return joined;
  }
}

/** Reads the fields of one packet. Every method throws MalformedPacket when the packet is too short. */
export class FieldReader {
  readonly #packet: Buffer;
  #at = 0;

  constructor(packet: Buffer) {
    this.#packet = packet;
  }

  byte(): number {
    return this.#take(1).readUInt8(0);
  }

  uint32(): number {
    return this.#take(4).readUInt32BE(0);
  }

  string(): Buffer {
    return this.#take(this.uint32());
  }

  attributes(): Attributes {
    const flags = this.uint32();
    const size = flags & 0x1 ? Number(this.#take(8).readBigUInt64BE(0)) : -1;
    if (flags & 0x2) this.#take(8);
    const mode = flags & 0x4 ? this.uint32() : null;
    let mtime: number | null = null;
    if (flags & 0x8) {
      this.uint32();
      mtime = this.uint32();
    }
    if (flags & 0x80000000) {
      for (let count = this.uint32(); count > 0; count -= 1) {
        this.string();
        this.string();
      }
    }
    return { kind: kindOf(mode), size, mtime };
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#packet.length) throw new MalformedPacket('a packet ends early');
    const part = this.#packet.subarray(this.#at, this.#at + length);
    this.#at += length;
    return part;
  }
}

/** A request with its length: type, number, fields. */
export function requestPacket(type: number, id: number, fields: readonly Buffer[]): Buffer {
  const length = 5 + fields.reduce((sum, field) => sum + 4 + field.length, 0);
  const packet = Buffer.alloc(4 + length);
  packet.writeUInt32BE(length, 0);
  packet.writeUInt8(type, 4);
  packet.writeUInt32BE(id, 5);
  let at = 9;
  for (const field of fields) {
    packet.writeUInt32BE(field.length, at);
    field.copy(packet, at + 4);
    at += 4 + field.length;
  }
  return packet;
}

export function initPacket(): Buffer {
  return Buffer.from([0, 0, 0, 5, PACKET.init, 0, 0, 0, VERSION]);
}

/** S_IFMT of POSIX. */
function kindOf(mode: number | null): FileKind {
  if (mode === null) return 'unknown';
  switch (mode & 0o170000) {
    case 0o100000:
      return 'file';
    case 0o040000:
      return 'folder';
    case 0o120000:
      return 'link';
    case 0:
      return 'unknown';
    default:
      return 'special';
  }
}
