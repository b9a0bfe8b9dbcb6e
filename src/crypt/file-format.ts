import { FormatError } from '../layout/entries.ts';
import { secretbox, TAG_BYTES } from './secretbox.ts';

/**
 * The content of a file as rclone crypt writes it (https://rclone.org/crypt/#file-encryption): a header of eight fixed bytes and a nonce,
 * then blocks of 64 KiB, each sealed by NaCl's secretbox (XSalsa20 and Poly1305) under the nonce plus its number.
 */
const MAGIC = Buffer.from('RCLONE\0\0', 'latin1');
export const NONCE_BYTES = 24;
export const HEADER_BYTES = MAGIC.length + NONCE_BYTES;
export const BLOCK_BYTES = 64 * 1024;
export const SEALED_BLOCK_BYTES = BLOCK_BYTES + TAG_BYTES;

/** Size of a file of so many bytes after sealing. */
export function sealedSize(size: number): number {
  const rest = size % BLOCK_BYTES;
  return HEADER_BYTES + Math.floor(size / BLOCK_BYTES) * SEALED_BLOCK_BYTES + (rest === 0 ? 0 : rest + TAG_BYTES);
}

/** Size of the file in a sealed object of so many bytes; null when no file has such an object. */
export function plainSize(sealed: number): number | null {
  const body = sealed - HEADER_BYTES;
  if (body < 0) return null;
  const rest = body % SEALED_BLOCK_BYTES;
  if (rest !== 0 && rest <= TAG_BYTES) return null;
  return Math.floor(body / SEALED_BLOCK_BYTES) * BLOCK_BYTES + (rest === 0 ? 0 : rest - TAG_BYTES);
}

export function headerOf(nonce: Uint8Array): Buffer {
  return Buffer.concat([MAGIC, nonce]);
}

/** The nonce of a header. @throws FormatError when it is none */
export function nonceOf(header: Buffer): Buffer {
  if (header.length < HEADER_BYTES || !header.subarray(0, MAGIC.length).equals(MAGIC))
    throw new FormatError('an object does not begin as an encrypted one');
  return Buffer.from(header.subarray(MAGIC.length, HEADER_BYTES));
}

/** Seals or opens the blocks of one file, from block `first` on; blocks must come in order. */
export class BlockSealer {
  readonly #key: Uint8Array;
  readonly #nonce: Buffer;

  /** @param key 32 bytes @param nonce of the file */
  constructor(key: Uint8Array, nonce: Uint8Array, first = 0) {
    this.#key = key;
    this.#nonce = Buffer.from(nonce);
    addTo(this.#nonce, first);
  }

  /**
   * @param sealed where it goes, `TAG_BYTES` longer than the block
   * @param block exactly 64 KiB, save the last one, which is shorter and never empty
   */
  seal(sealed: Uint8Array, block: Uint8Array): void {
    if (sealed.length !== block.length + TAG_BYTES) throw new RangeError('no room for a sealed block');
    secretbox().seal(sealed, block, this.#nonce, this.#key);
    addTo(this.#nonce, 1);
  }

  /** @throws FormatError when the block was changed, is at another place, or was sealed with another key */
  open(sealed: Uint8Array): Buffer {
    const block = Buffer.allocUnsafe(Math.max(0, sealed.length - TAG_BYTES));
    if (block.length === 0 || !secretbox().open(block, sealed, this.#nonce, this.#key))
      throw new FormatError('an encrypted object was changed, or is encrypted with other keys');
    addTo(this.#nonce, 1);
    return block;
  }
}

/** Seals one file as it comes. */
export class FileSealer {
  readonly #sealer: BlockSealer;
  /** The block that is not full yet. */
  readonly #rest = Buffer.allocUnsafe(BLOCK_BYTES);
  #held = 0;
  /** Until it was given out. */
  #header: Buffer;

  /** @param key 32 bytes @param nonce of the file: never the same twice */
  constructor(key: Uint8Array, nonce: Uint8Array) {
    this.#sealer = new BlockSealer(key, nonce);
    this.#header = headerOf(nonce);
  }

  /** What can be sealed by now. */
  update(bytes: Buffer): Buffer {
    const blocks = Math.floor((this.#held + bytes.length) / BLOCK_BYTES);
    const sealed = Buffer.allocUnsafe(this.#header.length + blocks * SEALED_BLOCK_BYTES);
    let at = 0;
    for (let to = this.#header.copy(sealed); to < sealed.length; to += SEALED_BLOCK_BYTES) {
      let block = bytes.subarray(at, at + BLOCK_BYTES - this.#held);
      at += block.length;
      if (this.#held > 0) {
        block.copy(this.#rest, this.#held);
        block = this.#rest;
        this.#held = 0;
      }
      this.#sealer.seal(sealed.subarray(to, to + SEALED_BLOCK_BYTES), block);
    }
    this.#held += bytes.copy(this.#rest, this.#held, at);
    this.#header = NOTHING;
    return sealed;
  }

  /** The end of the file. */
  end(): Buffer {
    const tail = Buffer.allocUnsafe(this.#header.length + (this.#held === 0 ? 0 : this.#held + TAG_BYTES));
    const to = this.#header.copy(tail);
    if (this.#held > 0) this.#sealer.seal(tail.subarray(to), this.#rest.subarray(0, this.#held));
    this.#header = NOTHING;
    this.#held = 0;
    return tail;
  }
}

const NOTHING = Buffer.alloc(0);

/** A number of 24 bytes, lowest byte first, in place. */
function addTo(nonce: Buffer, amount: number): void {
  let carry = amount;
  for (let i = 0; i < nonce.length && carry > 0; i += 1) {
    const sum = (nonce[i] as number) + (carry % 256);
    nonce[i] = sum & 0xff;
    carry = Math.floor(carry / 256) + (sum >>> 8);
  }
}
