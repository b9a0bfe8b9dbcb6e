import type { Cipheriv, Decipheriv } from 'node:crypto';

/** One block of AES, in bytes. */
export const BLOCK = 16;
/** EME is defined for up to 16·8 blocks of 16 bytes. */
export const MOST_BLOCKS = 128;

/** AES on whole blocks without chaining: `createCipheriv('aes-256-ecb', …)` with its padding switched off. */
type BlockCipher = Cipheriv | Decipheriv;

/**
 * EME (Halevi and Rogaway, "A Parallelizable Enciphering Mode", 2003) over AES: a wide-block cipher whose output changes wholly with each
 * bit of the input. `blocks` en- or deciphers single blocks, and gives the direction; `doubles` are those of the enciphered zero block
 * (`doublesOf`), in both directions.
 */
export function transformEme(blocks: BlockCipher, doubles: Buffer, tweak: Buffer, input: Buffer): Buffer {
  const length = input.length;
  const out = blocks.update(xor(Buffer.from(input), doubles, length));
  const mixedIn = Buffer.from(tweak);
  for (let at = 0; at < length; at += BLOCK) xorBlock(mixedIn, 0, out, at);
  const mixedOut = blocks.update(mixedIn);
  const mask = xor(Buffer.from(mixedIn), mixedOut, BLOCK);
  const first = xor(Buffer.from(tweak), mixedOut, BLOCK);
  for (let at = BLOCK; at < length; at += BLOCK) {
    double(mask);
    xorBlock(out, at, mask, 0);
    xorBlock(first, 0, out, at);
  }
  first.copy(out, 0);
  return xor(blocks.update(out), doubles, length);
}

/** What each block is masked with: the enciphered zero block, doubled once for the first block, twice for the second … */
export function doublesOf(enciphering: Cipheriv): Buffer {
  const value = enciphering.update(Buffer.alloc(BLOCK));
  const doubles = Buffer.alloc(BLOCK * MOST_BLOCKS);
  for (let at = 0; at < doubles.length; at += BLOCK) {
    double(value);
    value.copy(doubles, at);
  }
  return doubles;
}

/** Times two in the field of 128 bits, lowest byte first, in place. */
function double(block: Buffer): void {
  let carry = (block[BLOCK - 1] as number) >= 0x80 ? 0x87 : 0;
  for (let i = 0; i < BLOCK; i += 1) {
    const byte = block[i] as number;
    block[i] = ((byte << 1) & 0xff) ^ carry;
    carry = byte >>> 7;
  }
}

function xor(target: Buffer, other: Buffer, length: number): Buffer {
  for (let i = 0; i < length; i += 1) target[i] = (target[i] as number) ^ (other[i] as number);
  return target;
}

function xorBlock(target: Buffer, targetAt: number, other: Buffer, otherAt: number): void {
  for (let i = 0; i < BLOCK; i += 1) {
    target[targetAt + i] = (target[targetAt + i] as number) ^ (other[otherAt + i] as number);
  }
}
