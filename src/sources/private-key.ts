import { createHash, createPrivateKey, randomBytes, type KeyObject } from 'node:crypto';
import { MOST_BCRYPT_ROUNDS, pemCost } from './key-cost.ts';

/** A private key in a form that both read: the client that lists, and the program that copies. */
export interface UsableKey {
  readonly pem: string;
  /** Null when `pem` is not encrypted. */
  readonly passphrase: string | null;
}

/** What is wrong, by the field of the form. */
export interface KeyProblem {
  readonly field: 'private_key' | 'passphrase';
  readonly problem: string;
}

const DAMAGED = 'is cut off or damaged: copy it again from BEGIN to END';
const PASSPHRASE_NEEDED = 'is needed, because the private key is encrypted';
const PASSPHRASE_WRONG = 'does not fit the private key';
const TOO_COSTLY =
  'is protected by a passphrase with so many rounds that opening it takes too long: save it with fewer (ssh-keygen -p -a 24, or openssl pkcs8 -topk8 -iter 2048)';
const OPENSSH_MAGIC = Buffer.from('openssh-key-v1\0');

/** Line ends and blanks as PEM wants them; a key that was pasted from JSON with `\n` in it gets its lines back. */
export function tidyKey(text: string): string {
  const lines = text.includes('\n') ? text : text.replaceAll('\\n', '\n');
  return `${lines.replaceAll(/\r\n?/g, '\n').trim()}\n`;
}

/**
 * Checks a private key (OpenSSH, PKCS #1, SEC 1, PKCS #8; RSA, ECDSA, Ed25519) and brings it into a usable form. An encrypted OpenSSH
 * key is opened only by who connects: here its form is checked, not its passphrase.
 */
export function usableKey(given: string, passphrase: string | null): UsableKey | KeyProblem {
  const text = tidyKey(given);
  const label = /^-----BEGIN ([A-Z0-9 ]+)-----$/m.exec(text)?.[1];
  if (text.startsWith('PuTTY-User-Key-File'))
    return wrong('private_key', 'is a PuTTY key: export it in OpenSSH form (Conversions, Export OpenSSH key)');
  if (/^(?:ssh-|ecdsa-|sk-)/.test(text) || label?.endsWith('PUBLIC KEY'))
    return wrong('private_key', 'is the public key: the private one is needed');
  if (label === undefined || !label.endsWith('PRIVATE KEY') || !text.includes(`\n-----END ${label}-----\n`))
    return wrong('private_key', 'must be a private key in PEM or OpenSSH form, from BEGIN to END');
  return label === 'OPENSSH PRIVATE KEY' ? opensshKey(text, passphrase) : pemKey(text, label, passphrase);
}

/** What was found out about keys, by a hash of both: a list of jobs reads the settings of each, again and again. */
const judged = new Map<string, KeyProblem | null>();
const MOST_JUDGED = 2_000;

/** What is wrong with a key; null: nothing. */
export function keyProblem(given: string, passphrase: string | null): KeyProblem | null {
  const name = createHash('sha256')
    .update(JSON.stringify([given, passphrase]))
    .digest('base64');
  const known = judged.get(name);
  if (known !== undefined) return known;
  const key = usableKey(given, passphrase);
  const problem = isKeyProblem(key) ? key : null;
  if (judged.size >= MOST_JUDGED) judged.clear();
  judged.set(name, problem);
  return problem;
}

export function isKeyProblem(result: UsableKey | KeyProblem): result is KeyProblem {
  return 'problem' in result;
}

/** https://cvsweb.openbsd.org/src/usr.bin/ssh/PROTOCOL.key */
function opensshKey(text: string, passphrase: string | null): UsableKey | KeyProblem {
  // Programs differ in which of several they take.
  if (text.split('-----BEGIN').length !== 2) return wrong('private_key', DAMAGED);
  const body = Buffer.from(text.replaceAll(/-----[^-]+-----/g, ''), 'base64');
  if (!body.subarray(0, OPENSSH_MAGIC.length).equals(OPENSSH_MAGIC)) return wrong('private_key', DAMAGED);
  const fields: Buffer[] = [];
  let at = OPENSSH_MAGIC.length;
  // Cipher, key derivation and its options; the number of keys; the public key; the private part.
  for (const skip of [0, 0, 0, 4, 0]) {
    at += skip;
    const length = at + 4 <= body.length ? body.readUInt32BE(at) : -1;
    if (length < 0 || at + 4 + length > body.length) return wrong('private_key', DAMAGED);
    fields.push(body.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  const [cipher, derivation, options] = fields;
  if (cipher?.toString('latin1') === 'none') return { pem: text, passphrase: null };
  // A salt and the rounds.
  const rounds = options === undefined || options.length < 8 ? null : options.readUInt32BE(options.length - 4);
  if (derivation?.toString('latin1') !== 'bcrypt' || rounds === null) return wrong('private_key', DAMAGED);
  if (rounds > MOST_BCRYPT_ROUNDS) return wrong('private_key', TOO_COSTLY);
  return passphrase === null ? wrong('passphrase', PASSPHRASE_NEEDED) : { pem: text, passphrase };
}

function pemKey(text: string, label: string, passphrase: string | null): UsableKey | KeyProblem {
  const cost = pemCost(text);
  if (cost !== 'bearable') return wrong('private_key', cost === 'damaged' ? DAMAGED : TOO_COSTLY);
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: text, format: 'pem', ...(passphrase === null ? {} : { passphrase }) });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const encrypted = label === 'ENCRYPTED PRIVATE KEY' || text.includes('\nProc-Type: 4,ENCRYPTED\n');
    if (code === 'ERR_MISSING_PASSPHRASE' || (encrypted && passphrase === null))
      return wrong('passphrase', PASSPHRASE_NEEDED);
    return encrypted ? wrong('passphrase', PASSPHRASE_WRONG) : wrong('private_key', DAMAGED);
  }
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return { pem: key.export({ type: 'pkcs1', format: 'pem' }).toString(), passphrase: null };
    case 'ec':
      return { pem: key.export({ type: 'sec1', format: 'pem' }).toString(), passphrase: null };
    case 'ed25519':
      return { pem: ed25519InOpenssh(key), passphrase: null };
    default:
      return wrong('private_key', 'is of a kind that SSH servers do not take: use Ed25519, ECDSA or RSA');
  }
}

/** PKCS #8, the only PEM form of these keys, is not read by every SSH client. */
function ed25519InOpenssh(key: KeyObject): string {
  const { d, x } = key.export({ format: 'jwk' });
  const [seed, point] = [Buffer.from(d ?? '', 'base64url'), Buffer.from(x ?? '', 'base64url')];
  const type = sshString(Buffer.from('ssh-ed25519'));
  const check = randomBytes(4);
  const secret = Buffer.concat([
    check,
    check,
    type,
    sshString(point),
    sshString(Buffer.concat([seed, point])),
    sshString(Buffer.alloc(0)),
  ]);
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, i) => i + 1));
  const body = Buffer.concat([
    OPENSSH_MAGIC,
    sshString(Buffer.from('none')),
    sshString(Buffer.from('none')),
    sshString(Buffer.alloc(0)),
    Buffer.of(0, 0, 0, 1),
    sshString(Buffer.concat([type, sshString(point)])),
    sshString(Buffer.concat([secret, padding])),
  ]);
  const lines = body.toString('base64').match(/.{1,70}/g) ?? [];
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n');
}

function sshString(content: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}

function wrong(field: KeyProblem['field'], problem: string): KeyProblem {
  return { field, problem };
}
