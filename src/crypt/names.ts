import { createCipheriv, createDecipheriv } from 'node:crypto';
import { pathOfRcloneName, rcloneNameOfPath } from '../layout/encoding.ts';
import { BLOCK, doublesOf, MOST_BLOCKS, transformEme } from './eme.ts';

/** Folder names that were worked out lately: the files of a folder come one after the other. */
const KNOWN_FOLDERS = 4_096;

/**
 * Names as rclone crypt writes them with `filename_encryption standard`, `filename_encoding base64` and directory names encrypted
 * (https://rclone.org/crypt/#file-name-encryption): each segment by itself, padded to whole blocks (PKCS #7), under EME with AES-256, in
 * base64 for URLs. The same name gives the same key in every folder.
 */
export class SealedNames {
  readonly #enciphering;
  readonly #deciphering;
  readonly #doubles: Buffer;
  readonly #tweak: Buffer;
  readonly #keys = new Map<string, string>();
  readonly #paths = new Map<string, string | null>();

  /** @param key 32 bytes @param tweak 16 bytes */
  constructor(key: Buffer, tweak: Buffer) {
    this.#enciphering = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
    this.#deciphering = createDecipheriv('aes-256-ecb', key, null).setAutoPadding(false);
    this.#doubles = doublesOf(this.#enciphering);
    this.#tweak = tweak;
  }

  /** The key, below `files/`, of the file with this path. */
  keyOfPath(path: string): string {
    const slash = path.lastIndexOf('/');
    if (slash === -1) return this.#seal(path);
    const folder = path.slice(0, slash);
    const sealed = remember(this.#keys, folder, () =>
      folder
        .split('/')
        .map((name) => this.#seal(name))
        .join('/'),
    );
    return `${sealed}/${this.#seal(path.slice(slash + 1))}`;
  }

  /** The path of the file at this key below `files/`; null for a key that no path has. */
  pathOfKey(key: string): string | null {
    const slash = key.lastIndexOf('/');
    const name = this.#open(key.slice(slash + 1));
    if (slash === -1 || name === null) return name;
    const folder = remember(this.#paths, key.slice(0, slash), (text) => {
      const names = text.split('/').map((segment) => this.#open(segment));
      return names.includes(null) ? null : names.join('/');
    });
    return folder === null ? null : `${folder}/${name}`;
  }

  #seal(name: string): string {
    const plain = rcloneNameOfPath(name);
    const padding = BLOCK - (plain.length % BLOCK);
    const padded = Buffer.concat([plain, Buffer.alloc(padding, padding)]);
    // No store takes such a name, and the mode is not defined for it; as it is, it is longer than every key may be.
    if (padded.length > BLOCK * MOST_BLOCKS) return padded.toString('base64url');
    return transformEme(this.#enciphering, this.#doubles, this.#tweak, padded).toString('base64url');
  }

  #open(segment: string): string | null {
    const sealed = Buffer.from(segment, 'base64url');
    const whole = sealed.length > 0 && sealed.length % BLOCK === 0 && sealed.length <= BLOCK * MOST_BLOCKS;
    if (!whole || sealed.toString('base64url') !== segment) return null;
    const padded = transformEme(this.#deciphering, this.#doubles, this.#tweak, sealed);
    const padding = padded.at(-1) ?? 0;
    if (padding === 0 || padding > BLOCK || padding === padded.length) return null;
    if (!padded.subarray(padded.length - padding).every((byte) => byte === padding)) return null;
    const path = pathOfRcloneName(padded.subarray(0, padded.length - padding));
    // One spelling only: what two keys could stand for is not ours.
    return this.#seal(path) === segment ? path : null;
  }
}

function remember<T>(known: Map<string, T>, text: string, find: (text: string) => T): T {
  const there = known.get(text);
  if (there !== undefined) return there;
  if (known.size >= KNOWN_FOLDERS) known.clear();
  const found = find(text);
  known.set(text, found);
  return found;
}
