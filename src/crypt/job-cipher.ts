import { randomBytes, scrypt } from 'node:crypto';
import type { Transform } from 'node:stream';
import { FormatError } from '../layout/entries.ts';
import {
  BlockSealer,
  FileSealer,
  HEADER_BYTES,
  NONCE_BYTES,
  nonceOf,
  plainSize,
  SEALED_BLOCK_BYTES,
  sealedSize,
} from './file-format.ts';
import { SealedNames } from './names.ts';
import { OpenStream, type OpenOptions } from './streams.ts';

/** What rclone crypt calls `password` and `password2` (the salt), plain. */
export interface CryptPasswords {
  readonly password: string;
  readonly password2: string;
}

/**
 * What one encrypted job writes and reads with: the names and the file format of rclone crypt, so that plain rclone with the same two
 * passwords reads all of it. Lives in memory only.
 */
export interface JobCipher {
  /** For remotes of rclone: obscured, by environment, never in argv, logs or files. */
  readonly passwords: CryptPasswords;
  /** The key below `files/` of the file with this path (the spelling of entries' paths). */
  keyOfPath(path: string): string;
  /** The path of the file at this key below `files/`; null for a key that no path has. */
  pathOfKey(key: string): string | null;
  /** Bytes of the object that holds a file of so many bytes. */
  sealedSize(size: number): number;
  /** Bytes of the file in an object of so many bytes; null when no file has such an object. */
  plainSize(sealed: number): number | null;
  /** A whole small document, under a nonce of its own: two calls never give the same bytes. */
  seal(body: Buffer): Buffer;
  /** @throws FormatError when it is not what was sealed */
  open(body: Buffer): Buffer;
  /** For a file that comes in pieces, under a nonce of its own. */
  sealer(): FileSealer;
  /** A sealed file in, plain bytes out; ends with FormatError. `streamSealed` knows which bytes of an object to ask for. */
  openStream(options?: OpenOptions): Transform;
}

const KEY_BYTES = 32;
/** rclone's own (backend/crypt/cipher.go): they cannot be chosen. */
const SCRYPT = { N: 16_384, r: 8, p: 1 } as const;

/** Derives the keys, which takes a moment (scrypt): once for a run, or for a request. */
export async function openJobCipher(passwords: CryptPasswords): Promise<JobCipher> {
  // rclone takes a salt of its own for an empty second password, and no key at all for an empty first one.
  if (passwords.password === '' || passwords.password2 === '') throw new FormatError('a password of crypt is empty');
  const derived = await derive(passwords);
  const key = derived.subarray(0, KEY_BYTES);
  const names = new SealedNames(derived.subarray(KEY_BYTES, 2 * KEY_BYTES), derived.subarray(2 * KEY_BYTES));
  return {
    passwords,
    keyOfPath: (path) => names.keyOfPath(path),
    pathOfKey: (sealed) => names.pathOfKey(sealed),
    sealedSize,
    plainSize,
    seal: (body) => seal(key, body),
    open: (body) => open(key, body),
    sealer: () => new FileSealer(key, randomBytes(NONCE_BYTES)),
    openStream: (options) => new OpenStream(key, options),
  };
}

/** New ones, for a new job: 256 bits each. */
export function newCryptPasswords(): CryptPasswords {
  return { password: randomBytes(32).toString('base64url'), password2: randomBytes(32).toString('base64url') };
}

function derive({ password, password2 }: CryptPasswords): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, password2, 2 * KEY_BYTES + 16, SCRYPT, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

function seal(key: Buffer, body: Buffer): Buffer {
  const sealer = new FileSealer(key, randomBytes(NONCE_BYTES));
  return Buffer.concat([sealer.update(body), sealer.end()]);
}

function open(key: Buffer, sealed: Buffer): Buffer {
  const sealer = new BlockSealer(key, nonceOf(sealed));
  const parts: Uint8Array[] = [];
  for (let at = HEADER_BYTES; at < sealed.length; at += SEALED_BLOCK_BYTES)
    parts.push(sealer.open(sealed.subarray(at, at + SEALED_BLOCK_BYTES)));
  return Buffer.concat(parts);
}
