import { createHash } from 'node:crypto';

/** A server's public key as OpenSSH writes it, without comment: `ssh-ed25519 AAAA…`. */
export function isHostKey(line: string): boolean {
  return /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-[a-z0-9@.-]+) [A-Za-z0-9+/]+={0,2}$/.test(line);
}

/** The key as OpenSSH writes it, from the bytes that the server sends. */
export function hostKeyLine(key: Buffer): string {
  const type = key.subarray(4, 4 + key.readUInt32BE(0)).toString('ascii');
  return `${type} ${key.toString('base64')}`;
}

/** As `ssh-keygen -l` shows it: `SHA256:` and 43 characters. */
export function fingerprintOf(hostKey: string): string {
  const bytes = Buffer.from(hostKey.split(' ')[1] ?? '', 'base64');
  return `SHA256:${createHash('sha256').update(bytes).digest('base64').replace(/=+$/, '')}`;
}

const ALGORITHMS = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const;
type Algorithm = (typeof ALGORITHMS)[number];

/**
 * What to offer a server: with a pinned key only algorithms of its kind, so that a server with several keys shows that one; without,
 * all that are in use.
 */
export function hostKeyAlgorithms(pinned: string | null): Algorithm[] {
  const type = pinned?.split(' ')[0] ?? null;
  if (type === null) return [...ALGORITHMS];
  return ALGORITHMS.filter((algorithm) => (type === 'ssh-rsa' ? algorithm.startsWith('rsa-') : algorithm === type));
}
