import { connect } from 'node:net';
import ssh2 from 'ssh2';
import { BackupError } from '../errors/backup-error.ts';
import { hostKeyAlgorithms, hostKeyLine } from './host-key.ts';
import { sshError } from './ssh-errors.ts';

export interface SshServer {
  readonly host: string;
  readonly port: number;
  /** What the egress guard resolved and allowed, so that a name cannot point elsewhere between check and connection. */
  readonly address?: string | undefined;
}

/**
 * Asks an SSH server for its host key, before any credentials are sent. Returns the key as OpenSSH writes it, `ssh-ed25519 AAAA…`.
 * A server may have several keys: with `pinned` it is asked for one of that kind first, so that a further key is no change.
 * @throws BackupError `ERR_HOST_UNKNOWN`, `ERR_CONNECTION_REFUSED`, `ERR_NETWORK`
 */
export async function fetchHostKey(
  server: SshServer,
  signal: AbortSignal,
  pinned: string | null = null,
): Promise<string> {
  const key = pinned === null ? null : await askForKey(server, signal, pinned);
  return key ?? (await askForKey(server, signal, null)) ?? noCommonKey();
}

function noCommonKey(): never {
  throw new BackupError('ERR_NETWORK', 'The server has no host key of a kind that is still considered safe.');
}

/** Null when the server has no key of the kind that is wanted. */
async function askForKey(server: SshServer, signal: AbortSignal, wanted: string | null): Promise<string | null> {
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
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    const onError = (cause: Error): void =>
      finish(() => (/no matching host key/i.test(cause.message) ? resolve(null) : reject(sshError(cause))));
    socket.on('error', onError);
    client.on('error', onError);
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
      algorithms: { serverHostKey: hostKeyAlgorithms(wanted) },
      hostVerifier: (key: Buffer) => {
        const line = hostKeyLine(key);
        finish(() => resolve(line));
        return false;
      },
    });
  });
}
