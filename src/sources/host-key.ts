import { createHash } from 'node:crypto';

/** A server's public key as OpenSSH writes it, without comment: `ssh-ed25519 AAAA…`. */
export function isHostKey(line: string): boolean {
  return /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-[a-z0-9@.-]+) [A-Za-z0-9+/]+={0,2}$/.test(line);
}

/** As `ssh-keygen -l` shows it: `SHA256:` and 43 characters. */
export function fingerprintOf(hostKey: string): string {
  const bytes = Buffer.from(hostKey.split(' ')[1] ?? '', 'base64');
  return `SHA256:${createHash('sha256').update(bytes).digest('base64').replace(/=+$/, '')}`;
}
