import { createHash, X509Certificate } from 'node:crypto';
import { z } from 'zod';

const BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
const MOST_CERTIFICATES = 20;

/**
 * Certificates (PEM) that a server's own is held to instead of those that the system trusts: of the authority that signed it, or the
 * server's own. Kept as blocks without what stands around them. Whether they have expired is not looked at: a stored job must stay readable.
 */
export const caCertificate = z
  .string({ error: 'must be a text' })
  .max(65_536, { error: 'must not be longer than 65,536 characters' })
  .transform((given, context) => {
    const blocks = given.match(BLOCK) ?? [];
    const problem = problemWith(given, blocks);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
    return problem === null ? `${blocks.map(tidied).join('\n')}\n` : '';
  });

function problemWith(given: string, blocks: readonly string[]): string | null {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(given)) return 'holds a private key: give the certificate alone';
  if (blocks.length === 0 || blocks.length !== given.split('-----BEGIN CERTIFICATE-----').length - 1)
    return 'must be a certificate in PEM form, from BEGIN CERTIFICATE to END CERTIFICATE';
  if (blocks.length > MOST_CERTIFICATES) return `must not hold more than ${MOST_CERTIFICATES} certificates`;
  return blocks.every(isCertificate) ? null : 'holds a certificate that cannot be read';
}

function isCertificate(block: string): boolean {
  try {
    return new X509Certificate(block).raw.length > 0;
  } catch {
    return false;
  }
}

const tidied = (block: string): string => new X509Certificate(block).toString().trim();

/** Tells one set of trusted certificates from another: a password is not sent to whoever shows a certificate of another authority. */
export function trustMark(pem: string | undefined): string {
  return pem === undefined ? '' : ` ${createHash('sha256').update(pem).digest('hex')}`;
}
