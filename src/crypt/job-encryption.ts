import type { WrappedKeys } from '../layout/crypt-keys.ts';
import type { JobCipher } from './job-cipher.ts';

/** The keys of an encrypted job: to work with, and as they lie in its folder. */
export interface JobEncryption {
  readonly cipher: JobCipher;
  readonly wrapped: WrappedKeys;
}
