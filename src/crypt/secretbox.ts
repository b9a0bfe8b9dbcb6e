import { createRequire } from 'node:module';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';

/** What NaCl's secretbox (XSalsa20 and Poly1305) puts before each message. */
export const TAG_BYTES = 16;

/** NaCl's secretbox. Keys have 32 bytes, nonces 24. */
export interface Secretbox {
  /** @param sealed `TAG_BYTES` longer than the message */
  seal(sealed: Uint8Array, message: Uint8Array, nonce: Uint8Array, key: Uint8Array): void;
  /** False: it was changed, or sealed with another key. @param message `TAG_BYTES` shorter than what was sealed, not empty */
  open(message: Uint8Array, sealed: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean;
}

/** In JavaScript: some 100 MB a second. */
export const portable: Secretbox = {
  seal: (sealed, message, nonce, key) => sealed.set(xsalsa20poly1305(key, nonce).encrypt(message)),
  open(message, sealed, nonce, key) {
    try {
      message.set(xsalsa20poly1305(key, nonce).decrypt(sealed));
      return true;
    } catch {
      return false;
    }
  },
};

/** The part of sodium-native that is used. It ends the process when a length is not what it should be. */
interface Sodium {
  crypto_secretbox_easy(sealed: Uint8Array, message: Uint8Array, nonce: Uint8Array, key: Uint8Array): void;
  crypto_secretbox_open_easy(message: Uint8Array, sealed: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean;
}

/** By libsodium: ten times as fast. Null where there is no build of it (Alpine Linux, for one). */
export function loadNative(): Secretbox | null {
  try {
    const sodium = createRequire(import.meta.url)('sodium-native') as Sodium;
    return {
      seal: (sealed, message, nonce, key) => sodium.crypto_secretbox_easy(sealed, message, nonce, key),
      open: (message, sealed, nonce, key) => sodium.crypto_secretbox_open_easy(message, sealed, nonce, key),
    };
  } catch {
    return null;
  }
}

let chosen: Secretbox | null = null;

/** The fastest that there is; loaded with its first use, as most processes never encrypt anything. */
export function secretbox(): Secretbox {
  return (chosen ??= loadNative() ?? portable);
}
