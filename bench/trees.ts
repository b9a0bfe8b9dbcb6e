import { createCipheriv } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes that no program can make smaller, the same for the same seed. */
export function noise(seed: number, bytes: number): Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32BE(seed);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

const FILES_PER_FOLDER = 100;

export function nameOf(index: number): string {
  return `folder-${String(Math.floor(index / FILES_PER_FOLDER)).padStart(3, '0')}/file-${String(index).padStart(5, '0')}.bin`;
}

/** `count` files in folders of a hundred. */
export function writeTree(folder: string, count: number, sizeOf: (index: number) => number): void {
  for (let index = 0; index < count; index += 1) {
    if (index % FILES_PER_FOLDER === 0) mkdirSync(join(folder, nameOf(index), '..'), { recursive: true });
    writeFileSync(join(folder, nameOf(index)), noise(index, sizeOf(index)));
  }
}

/** Sizes of 4 to 64 KiB, spread evenly. */
export function mixedSize(index: number): number {
  return Math.round((4 + ((index * 0.618_033_988_75) % 1) * 60) * 1024);
}

export function writeLargeFile(folder: string, bytes: number): void {
  const block = 16 << 20;
  const file = openSync(join(folder, 'large.bin'), 'w');
  for (let at = 0, seed = 0; at < bytes; at += block, seed += 1)
    writeSync(file, noise(seed, Math.min(block, bytes - at)));
  closeSync(file);
}
