import { BackupError } from '../errors/backup-error.ts';
import { fingerprintOf, hostKeyLine } from './host-key.ts';

interface Ssh2Error extends Error {
  readonly level?: string;
  readonly code?: string | number;
}

/** Errors of sockets and of the SSH client, as ours. */
export function sshError(cause: unknown): BackupError {
  const { level, code, message } = cause as Ssh2Error;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return new BackupError('ERR_HOST_UNKNOWN', undefined, { cause });
  if (code === 'ECONNREFUSED') return new BackupError('ERR_CONNECTION_REFUSED', undefined, { cause });
  if (level === 'client-authentication') return new BackupError('ERR_SFTP_AUTH', undefined, { cause });
  if (/^Cannot parse privateKey|passphrase/i.test(message ?? '')) return keyError(cause, message ?? '');
  if (level === 'protocol' && /version|header|banner/i.test(message ?? ''))
    return new BackupError('ERR_NETWORK', 'The server does not speak SSH. Check the port.', { cause });
  if (/subsystem/i.test(message ?? ''))
    return new BackupError('ERR_NETWORK', 'The server does not offer SFTP to this user.', { cause });
  return new BackupError('ERR_NETWORK', undefined, { cause });
}

function keyError(cause: unknown, message: string): BackupError {
  // Encrypted keys of OpenSSH's own form show only now whether the passphrase fits.
  const wrong = /passphrase|decrypt|integrity/i.test(message);
  return wrong
    ? new BackupError('ERR_SOURCE_CONFIG', 'The passphrase does not fit the private key.', {
        cause,
        details: { fields: { passphrase: 'does not fit the private key' } },
      })
    : new BackupError('ERR_SOURCE_CONFIG', 'The private key cannot be read.', {
        cause,
        details: { fields: { private_key: 'cannot be read' } },
      });
}

/** Set when the handshake failed because of the host key: another key, or none of the pinned kind any more. */
export function hostKeyRefused(cause: unknown, pinned: string, shown: Buffer | null): BackupError | null {
  const { message } = cause as Error;
  const refused = shown !== null && `${hostKeyLine(shown)}` !== pinned;
  if (!refused && !/no matching host key/i.test(message)) return null;
  return hostKeyChanged(pinned, shown === null ? null : hostKeyLine(shown), cause);
}

/** @param seen the key that the server shows now, as OpenSSH writes it; null where it was not asked for. */
export function hostKeyChanged(pinned: string, seen: string | null, cause?: unknown): BackupError {
  return new BackupError('ERR_SFTP_HOST_KEY_CHANGED', undefined, {
    cause,
    details: { pinned: fingerprintOf(pinned), seen: seen === null ? null : fingerprintOf(seen) },
  });
}
