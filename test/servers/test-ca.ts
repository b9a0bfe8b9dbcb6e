import { isIP } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import forge from 'node-forge';

/** A certificate authority of the test run, which nobody trusts who is not told to. */
export interface TestCa {
  /** PEM file of its certificate, for `SSL_CERT_FILE`. */
  readonly file: string;
  readonly certificate: string;
  /** Certificate and key for these names. */
  issue(names: readonly string[]): { cert: string; key: string };
  remove(): void;
}

export function createTestCa(): TestCa {
  const keys = forge.pki.rsa.generateKeyPair(2048);
  const subject = [{ name: 'commonName', value: 'Test CA' }];
  const ca = certificate(keys.publicKey, subject, 1);
  ca.setIssuer(subject);
  ca.setExtensions([
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
  ]);
  ca.sign(keys.privateKey, forge.md.sha256.create());
  const folder = mkdtempSync(join(tmpdir(), 'e3-test-ca-'));
  const file = join(folder, 'ca.pem');
  const pem = forge.pki.certificateToPem(ca);
  writeFileSync(file, pem);
  let serial = 1;
  return {
    file,
    certificate: pem,
    issue(names) {
      const leafKeys = forge.pki.rsa.generateKeyPair(2048);
      const leaf = certificate(
        leafKeys.publicKey,
        [{ name: 'commonName', value: names[0] ?? 'localhost' }],
        (serial += 1),
      );
      leaf.setIssuer(subject);
      leaf.setExtensions([
        { name: 'basicConstraints', cA: false },
        { name: 'keyUsage', digitalSignature: true, keyEncipherment: true },
        { name: 'extKeyUsage', serverAuth: true },
        {
          name: 'subjectAltName',
          altNames: names.map((value) => (isIP(value) === 0 ? { type: 2, value } : { type: 7, ip: value })),
        },
      ]);
      leaf.sign(keys.privateKey, forge.md.sha256.create());
      return { cert: forge.pki.certificateToPem(leaf), key: forge.pki.privateKeyToPem(leafKeys.privateKey) };
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function certificate(
  publicKey: forge.pki.PublicKey,
  subject: forge.pki.CertificateField[],
  serial: number,
): forge.pki.Certificate {
  const made = forge.pki.createCertificate();
  made.publicKey = publicKey;
  made.serialNumber = serial.toString(16).padStart(2, '0');
  made.validity.notBefore = new Date(Date.now() - 86_400_000);
  made.validity.notAfter = new Date(Date.now() + 30 * 86_400_000);
  made.setSubject(subject);
  return made;
}
