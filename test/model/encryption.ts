import { openJobCipher } from '../../src/crypt/job-cipher.ts';
import type { JobEncryption } from '../../src/crypt/job-encryption.ts';

/** The keys of encrypted jobs in tests without a database: always the same, because deriving them takes a moment. */
export const ENCRYPTION: JobEncryption = {
  cipher: await openJobCipher({ password: 'a password of the tests', password2: 'their salt' }),
  wrapped: { key: '01900000-0000-7000-8000-00000000c0de', version: 1, value: 'v2:0123abcd:AAAA' },
};
