import { createHash } from 'node:crypto';

const BLOCK = 4 * 1024 * 1024;

/** Dropbox's content hash: SHA-256 of the SHA-256 sums of blocks of 4 MiB. */
export function dropboxHash(content: Buffer): string {
  const whole = createHash('sha256');
  for (let at = 0; at < content.length; at += BLOCK)
    whole.update(
      createHash('sha256')
        .update(content.subarray(at, at + BLOCK))
        .digest(),
    );
  return whole.digest('hex');
}
