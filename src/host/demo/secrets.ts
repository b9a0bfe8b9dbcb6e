import { generateKeyPairSync, randomBytes, randomInt } from 'node:crypto';
import { z } from 'zod';
import { BackupError } from '../../errors/backup-error.ts';
import type { DataFolder } from './data-folder.ts';
import { generatePassword } from './passwords.ts';

const KeyPair = z.object({ accessKey: z.string(), secretKey: z.string() });
const Secrets = z.object({
  encryptionKey: z.string(),
  sessionKey: z.string(),
  /** Name of this installation in the owner markers of its backups. */
  installation: z.string(),
  passwords: z.object({ ada: z.string(), grace: z.string(), admin: z.string() }),
  storage: z.object({ ada: KeyPair, grace: KeyPair }),
  sourceS3: KeyPair,
  sftp: z.object({ user: z.string(), password: z.string(), hostKeyPem: z.string() }),
});

/** Everything secret of one demo, made at its first start and kept in its data folder. */
export type DemoSecrets = z.infer<typeof Secrets>;

const FILE = 'secrets.json';

export function loadSecrets(folder: DataFolder): DemoSecrets {
  const text = folder.read(FILE);
  if (text !== null) return parseSecrets(text, folder.path(FILE));
  const secrets = generateSecrets();
  folder.write(FILE, `${JSON.stringify(secrets, null, 2)}\n`);
  return secrets;
}

function parseSecrets(text: string, path: string): DemoSecrets {
  try {
    return Secrets.parse(JSON.parse(text));
  } catch (cause) {
    throw new BackupError(
      'ERR_CONFIG_INVALID',
      `${path} is damaged. Restore it, or remove the whole data folder to begin anew: without it nothing in there can be read.`,
      { cause },
    );
  }
}

export function generateSecrets(): DemoSecrets {
  return {
    encryptionKey: randomBytes(32).toString('base64url'),
    sessionKey: randomBytes(32).toString('base64url'),
    installation: `demo-${randomBytes(6).toString('hex')}`,
    passwords: { ada: generatePassword(), grace: generatePassword(), admin: generatePassword() },
    storage: { ada: generateKeyPair(), grace: generateKeyPair() },
    sourceS3: generateKeyPair(),
    sftp: { user: 'office', password: randomBytes(18).toString('base64url'), hostKeyPem: generateHostKey() },
  };
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** In the form of S3 keys: 20 letters and digits, and 40 more. */
function generateKeyPair(): { accessKey: string; secretKey: string } {
  const accessKey = Array.from({ length: 20 }, () => LETTERS[randomInt(LETTERS.length)]).join('');
  return { accessKey, secretKey: randomBytes(32).toString('base64url').slice(0, 40) };
}

function generateHostKey(): string {
  return generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  }).privateKey;
}
