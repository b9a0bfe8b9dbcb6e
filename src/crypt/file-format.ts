import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { FormatError } from '../layout/entries.ts';

/**
 * The content of a file as rclone crypt writes it (https://rclone.org/crypt/#file-encryption): a header of eight fixed bytes and a nonce,
 * then blocks of 64 KiB, each sealed by NaCl's secretbox (XSalsa20 and Poly1305) under the nonce plus its number.
 */
const MAGIC = Buffer.from('RCLONE\0\0', 'latin1');
export const NONCE_BYTES = 24;
export const HEADER_BYTES = MAGIC.length + NONCE_BYTES;
export const BLOCK_BYTES = 64 * 1024;
const TAG_BYTES = 16;
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

  /** @param block exactly 64 KiB, save the last one, which is shorter and never empty */
  seal(block: Uint8Array): Uint8Array {
    const sealed = xsalsa20poly1305(this.#key, this.#nonce).encrypt(block);
    addTo(this.#nonce, 1);
    return sealed;
  }

  /** @throws FormatError when the block was changed, is at another place, or was sealed with another key */
  open(sealed: Uint8Array): Uint8Array {
    let block: Uint8Array;
    try {
      block = xsalsa20poly1305(this.#key, this.#nonce).decrypt(sealed);
    } catch (cause) {
      throw new FormatError('an encrypted object was changed, or is encrypted with other keys', { cause });
    }
    addTo(this.#nonce, 1);
    return block;
  }
}

/** A number of 24 bytes, lowest byte first, in place. */
function addTo(nonce: Buffer, amount: number): void {
  let carry = amount;
  for (let i = 0; i < nonce.length && carry > 0; i += 1) {
    const sum = (nonce[i] as number) + (carry % 256);
    nonce[i] = sum & 0xff;
    carry = Math.floor(carry / 256) + (sum >>> 8);
  }
}
