import { z } from 'zod';
import type { Side } from '../engines/rclone/error-classes.ts';
import { BackupError } from '../errors/backup-error.ts';
import { host, plainPath, port, secret, text } from './fields.ts';
import { isKeyProblem, keyProblem, tidyKey, usableKey, type UsableKey } from './private-key.ts';
import type { Pace, RemoteDefinition, SourceType } from './source-type.ts';

export const sftpSide: Side = { kind: 'source', codes: { auth: 'ERR_SFTP_AUTH' } };

const CHECKERS = 3;
/** Many servers take ten connections of one user, some only so many at a time that have not signed in yet. */
const sftpPace: Pace = {
  transfers: 6,
  // Every file and every look-up at once has a connection of its own; one stream a file, because each further one had one too.
  flags: (transfers) => [
    ...['--checkers', String(CHECKERS), '--multi-thread-streams', '0'],
    ...['--sftp-connections', String(transfers + CHECKERS)],
  ],
};

/** PEM as people paste it: line breaks belong to it, other control characters do not. */
const privateKey = z
  .string({ error: 'must be a text' })
  .max(32_768, { error: 'must not be longer than 32,768 characters' })
  .transform(tidyKey)
  .refine((value) => /^[\n\x20-\x7e]*$/.test(value), { error: 'must not hold control characters' });

const SftpConfig = z
  .strictObject({
    host,
    port: port.default(22),
    user: text(128),
    pass: secret(1024).optional(),
    private_key: privateKey.optional(),
    passphrase: secret(1024).optional(),
  })
  .refine((config) => config.pass !== undefined || config.private_key !== undefined, {
    path: ['pass'],
    error: 'give a password or a private key',
  })
  .superRefine((config, context) => {
    if (config.private_key === undefined) return;
    const wrong = keyProblem(config.private_key, config.passphrase ?? null);
    if (wrong !== null) context.addIssue({ code: 'custom', path: [wrong.field], message: wrong.problem });
  });

type SftpConfig = z.output<typeof SftpConfig>;

const hostOf = (config: SftpConfig): string => config.host.replace(/^\[|\]$/g, '');

function keyOf(config: SftpConfig): UsableKey | null {
  if (config.private_key === undefined) return null;
  const key = usableKey(config.private_key, config.passphrase ?? null);
  if (isKeyProblem(key)) throw new BackupError('ERR_SOURCE_CONFIG', `${key.field} ${key.problem}.`);
  return key;
}

/** A folder on a server that is reached over SSH. The server's host key is pinned on first use. */
export const sftp: SourceType<typeof SftpConfig> = {
  name: 'sftp',
  label: 'SFTP server',
  config: SftpConfig,
  secrets: ['pass', 'private_key', 'passphrase'],
  path: (given) => plainPath(given, { absolute: true }),
  summary: (config, path) =>
    `${config.user}@${config.host}${config.port === 22 ? '' : `:${config.port}`}:${path === '' ? '~' : path}`,
  hosts: (config) => [{ host: hostOf(config), port: config.port }],
  remote(config, path): RemoteDefinition {
    const key = keyOf(config);
    return {
      backend: 'sftp',
      options: {
        host: hostOf(config),
        port: String(config.port),
        user: config.user,
        ...(config.pass === undefined ? {} : { pass: config.pass }),
        // One line with \n in it, as rclone wants it; quotes and backslashes occur in no PEM.
        ...(key === null ? {} : { key_pem: key.pem.trim().replaceAll('\n', '\\n') }),
        ...(key === null || key.passphrase === null ? {} : { key_file_pass: key.passphrase }),
        // Neither a shell nor checksums are asked of the server: reading every file there to hash it would cost as much as copying it.
        shell_type: 'none',
        disable_hashcheck: 'true',
      },
      obscured: ['pass', 'key_file_pass'],
      root: path,
      origin: {
        kind: 'sftp',
        host: hostOf(config),
        port: config.port,
        user: config.user,
        pass: config.pass ?? null,
        key,
        path,
      },
      side: sftpSide,
      pace: sftpPace,
      reach: { by: 'address' },
    };
  },
  location: () => null,
};

/** The same source, reached at an address that the egress guard has seen: its name may point elsewhere a moment later. */
export function atAddress(definition: RemoteDefinition, address: string | undefined): RemoteDefinition {
  if (address === undefined || definition.reach.by !== 'address') return definition;
  const { origin, options } = definition;
  return {
    ...definition,
    options: { ...options, host: address },
    origin: origin.kind === 'sftp' ? { ...origin, host: address } : origin,
  };
}
