import { connect } from 'node:net';
import ssh2 from 'ssh2';
import { BackupError } from '../errors/backup-error.ts';

/**
 * Asks an SSH server for its host key, before any credentials are sent. Returns the key as OpenSSH writes it, `ssh-ed25519 AAAA…`.
 * @param address what the egress guard resolved and allowed, so that a name cannot point elsewhere between check and connection
 * @throws BackupError `ERR_HOST_UNKNOWN`, `ERR_CONNECTION_REFUSED`, `ERR_NETWORK`
 */
export async function fetchHostKey(
  server: { host: string; port: number; address?: string | undefined },
  signal: AbortSignal,
): Promise<string> {
  return await new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    const socket = connect({ host: server.address ?? server.host, port: server.port });
    const finish = (settle: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      client.destroy();
      socket.destroy();
      settle();
    };
    const onAbort = (): void =>
      finish(() => reject(new BackupError('ERR_NETWORK', undefined, { cause: signal.reason })));
    signal.addEventListener('abort', onAbort, { once: true });
    client.on('error', (cause) => finish(() => reject(connectionError(cause))));
    client.on('close', () =>
      finish(() =>
        reject(
          new BackupError(
            'ERR_NETWORK',
            'The server closed the connection before it showed its host key. Check that it is an SFTP server.',
          ),
        ),
      ),
    );
    client.connect({
      sock: socket,
      username: 'host-key-only',
      readyTimeout: 10_000,
      // The same order as the transfer program's, so that it is shown the same key.
      algorithms: {
        serverHostKey: [
          'ssh-ed25519',
          'ecdsa-sha2-nistp256',
          'ecdsa-sha2-nistp384',
          'ecdsa-sha2-nistp521',
          'rsa-sha2-512',
          'rsa-sha2-256',
        ],
      },
      hostVerifier: (key: Buffer) => {
        const type = key.subarray(4, 4 + key.readUInt32BE(0)).toString('ascii');
        finish(() => resolve(`${type} ${key.toString('base64')}`));
        return false;
      },
    });
  });
}

function connectionError(cause: Error): BackupError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return new BackupError('ERR_HOST_UNKNOWN', undefined, { cause });
  if (code === 'ECONNREFUSED') return new BackupError('ERR_CONNECTION_REFUSED', undefined, { cause });
  return new BackupError('ERR_NETWORK', undefined, { cause });
}
