import { z } from 'zod';
import { host, plainPath, port, secret, text } from './fields.ts';
import type { RemoteDefinition, SourceType } from './source-type.ts';

/** PEM as people paste it: line breaks belong to it, other control characters do not. */
const privateKey = z
  .string({ error: 'must be a text' })
  .max(32_768, { error: 'must not be longer than 32,768 characters' })
  .transform((value) => `${value.replaceAll('\r\n', '\n').trim()}\n`)
  .refine(
    (value) =>
      /^-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----\n[A-Za-z0-9+/=\n:,\- .]+\n-----END [A-Z0-9 ]*PRIVATE KEY-----\n$/.test(
        value,
      ),
    {
      error: 'must be a private key in PEM or OpenSSH form, from BEGIN to END',
    },
  );

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
  });

/** A folder on a server that is reached over SSH. The server's host key is pinned on first use. */
export const sftp: SourceType<typeof SftpConfig> = {
  name: 'sftp',
  label: 'SFTP server',
  config: SftpConfig,
  secrets: ['pass', 'private_key', 'passphrase'],
  path: (given) => plainPath(given, { absolute: true }),
  summary: (config, path) =>
    `${config.user}@${config.host}${config.port === 22 ? '' : `:${config.port}`}:${path === '' ? '~' : path}`,
  hosts: (config) => [{ host: config.host.replace(/^\[|\]$/g, ''), port: config.port }],
  remote: (config, path): RemoteDefinition => ({
    backend: 'sftp',
    options: {
      host: config.host.replace(/^\[|\]$/g, ''),
      port: String(config.port),
      user: config.user,
      ...(config.pass === undefined ? {} : { pass: config.pass }),
      // One line with \n in it, as rclone wants it.
      ...(config.private_key === undefined
        ? {}
        : {
            key_pem: config.private_key.trim().replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n'),
          }),
      ...(config.passphrase === undefined ? {} : { key_file_pass: config.passphrase }),
      // Neither a shell nor checksums are asked of the server: reading every file there to hash it would cost as much as copying it.
      shell_type: 'none',
      disable_hashcheck: 'true',
    },
    obscured: ['pass', 'key_file_pass'],
    root: path,
  }),
  location: () => null,
};
