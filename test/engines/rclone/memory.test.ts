import { describe, expect, it } from '@jest/globals';
import { filesInOnePiece, memoryFlags } from '../../../src/engines/rclone/memory.ts';

const flag = (flags: readonly string[], name: string): number =>
  Number.parseInt(flags[flags.indexOf(name) + 1] ?? '', 10);
const MIB = 1024 ** 2;

describe("rclone's memory", () => {
  it('is half for the buffers of uploads', () => {
    const flags = memoryFlags(512, 0);
    expect(flag(flags, '--max-buffer-memory')).toBe(256);
    expect(flag(flags, '--s3-upload-concurrency')).toBe(4);
  });

  it.each([128, 512, 4096])(
    'of %s MB holds two parts of the largest file, so that no upload waits for ever',
    (megabytes) => {
      for (const largest of [0, 1024 ** 3, 60 * 1024 ** 3, 1024 ** 4, 5 * 1024 ** 4]) {
        const flags = memoryFlags(megabytes, largest);
        const part = Math.max(5 * MIB, largest / 10_000);
        expect(flag(flags, '--max-buffer-memory') * MIB).toBeGreaterThanOrEqual(2 * part);
        expect(flag(flags, '--s3-upload-concurrency')).toBeGreaterThanOrEqual(1);
      }
    },
  );

  it('is not filled by one large file where smaller ones fit', () => {
    const flags = memoryFlags(512, 500 * 1024 ** 3);
    expect(flag(flags, '--s3-upload-concurrency') * 51).toBeLessThanOrEqual(flag(flags, '--max-buffer-memory'));
  });

  it('bounds how many files are listed at once', () => {
    expect(filesInOnePiece(512)).toBe(307_200);
    expect(filesInOnePiece(1)).toBe(10_000);
  });
});
