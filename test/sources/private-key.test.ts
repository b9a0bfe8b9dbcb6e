import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { isKeyProblem, keyProblem, usableKey } from '../../src/sources/private-key.ts';

const der = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const content = Buffer.concat(parts);
  const length = content.length < 0x80 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
};
const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts);
const id = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const bytes = (count: number): Buffer => der(0x04, Buffer.alloc(count, 7));
const number = (value: number): Buffer => {
  const hex = value.toString(16);
  return der(0x02, Buffer.from(`00${hex.length % 2 === 0 ? '' : '0'}${hex}`, 'hex'));
};
const pem = (label: string, body: Buffer): string =>
  `-----BEGIN ${label}-----\n${(body.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END ${label}-----\n`;

/** An encrypted key as PKCS #8 has it; what it holds is never reached. */
function encrypted(derivation: Buffer): Buffer {
  const cipher = sequence(id('60864801650304012a'), bytes(16));
  return sequence(sequence(id('2a864886f70d01050d'), sequence(derivation, cipher)), bytes(64));
}
const pbkdf2 = (iterations: number): Buffer =>
  sequence(id('2a864886f70d01050c'), sequence(bytes(8), number(iterations), sequence(id('2a864886f70d0209'))));
const scrypt = (n: number, r: number, p: number): Buffer =>
  sequence(id('2b06010401da47040b'), sequence(bytes(8), number(n), number(r), number(p)));

const text = (content: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
};
function openssh(rounds: number): string {
  const count = Buffer.alloc(4);
  count.writeUInt32BE(rounds);
  const one = Buffer.from([0, 0, 0, 1]);
  return pem(
    'OPENSSH PRIVATE KEY',
    Buffer.concat([
      Buffer.from('openssh-key-v1\0'),
      ...['aes256-ctr', 'bcrypt'].map((word) => text(Buffer.from(word))),
      text(Buffer.concat([text(Buffer.alloc(16, 7)), count])),
      one,
      ...[51, 144].map((length) => text(Buffer.alloc(length, 7))),
    ]),
  );
}

const LONG = 2 ** 31 - 1;

describe('a private key', () => {
  it.each([
    ['PBKDF2', pem('ENCRYPTED PRIVATE KEY', encrypted(pbkdf2(LONG)))],
    ['PBKDF2 with as many rounds as take seconds', pem('ENCRYPTED PRIVATE KEY', encrypted(pbkdf2(5_000_000)))],
    [
      'the predecessor of PBKDF2',
      pem(
        'ENCRYPTED PRIVATE KEY',
        sequence(sequence(id('2a864886f70d010c0103'), sequence(bytes(8), number(LONG))), bytes(64)),
      ),
    ],
    ['scrypt, much at once', pem('ENCRYPTED PRIVATE KEY', encrypted(scrypt(2 ** 20, 8, 1)))],
    ['scrypt, one after the other', pem('ENCRYPTED PRIVATE KEY', encrypted(scrypt(2 ** 14, 8, 1_000_000)))],
    [
      'a second key behind a harmless one',
      pem('ENCRYPTED PRIVATE KEY', encrypted(pbkdf2(2048))) + pem('ENCRYPTED PRIVATE KEY', encrypted(pbkdf2(LONG))),
    ],
    ['bcrypt', openssh(2 ** 32 - 1)],
    ['bcrypt with as many rounds as take a minute', openssh(1_000)],
  ])('that would stop everything else while it is opened is refused: %s', (_what, key) => {
    expect(usableKey(key, 'secret')).toEqual({ field: 'private_key', problem: expect.stringContaining('too long') });
  });

  it.each([
    [
      'a length that is not told',
      pem(
        'ENCRYPTED PRIVATE KEY',
        Buffer.concat([Buffer.from([0x30, 0x80]), encrypted(pbkdf2(LONG)).subarray(4), Buffer.alloc(2)]),
      ),
    ],
    ['other characters in between', pem('ENCRYPTED PRIVATE KEY', encrypted(pbkdf2(LONG))).replace('\n', '\n*')],
    ['two in OpenSSH form', openssh(16) + openssh(2 ** 32 - 1)],
  ])('whose rounds cannot be told is not opened: %s', (_what, key) => {
    expect(usableKey(key, 'secret')).toEqual({ field: 'private_key', problem: expect.stringContaining('damaged') });
  });

  it('with a passphrase in a usual way is opened, and judged the same when it is asked again', () => {
    const { privateKey } = generateKeyPairSync('ed25519', {
      privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    for (let time = 0; time < 2; time += 1) {
      expect(keyProblem(privateKey, 'secret')).toBeNull();
      expect(keyProblem(privateKey, 'other')).toEqual({ field: 'passphrase', problem: 'does not fit the private key' });
      expect(keyProblem(privateKey, null)?.problem).toContain('is needed');
    }
    const { privateKey: older } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const opened = usableKey(older, 'secret');
    expect(isKeyProblem(opened) ? opened : opened.pem).toContain('BEGIN RSA PRIVATE KEY');
    expect(isKeyProblem(usableKey(openssh(100), 'secret'))).toBe(false);
  });
});
