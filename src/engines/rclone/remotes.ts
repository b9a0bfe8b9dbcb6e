import { BackupError } from '../../errors/backup-error.ts';
import { DESTINATION_ENCODING } from '../../layout/encoding.ts';
import type { RemoteDefinition } from '../../sources/registry.ts';
import type { BucketAccess } from '../../storage/port.ts';
import { obscure } from './obscure.ts';

/** A remote by its name: the settings go by environment, never by argv or file. */
export interface Remote {
  /** Upper case, so that it is its own name in the environment. */
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** `NAME:root` */
  at(path: string): string;
}

/** What a source's remote needs beside its definition. */
export interface SourceExtras {
  /** SFTP: the pinned host key; the connection is refused when the server shows another one. */
  readonly hostKey?: string | null;
}

export function sourceRemote(name: string, definition: RemoteDefinition, extras: SourceExtras = {}): Remote {
  const options: Record<string, string> = { ...definition.options };
  for (const key of definition.obscured) if (options[key] !== undefined) options[key] = obscure(options[key]);
  if (definition.backend === 'sftp') {
    if (!extras.hostKey) throw new BackupError('ERR_INTERNAL', 'An SFTP source must have a pinned host key.');
    options['host_keys'] = extras.hostKey;
    // Links are neither followed (they may lead out of the folder, or in circles) nor stored.
    options['skip_links'] = 'true';
  }
  return remote(name, definition.backend, options, definition.root);
}

/** The destination bucket with the encoding of the backup format. */
export function bucketRemote(name: string, access: BucketAccess): Remote {
  return remote(
    name,
    's3',
    {
      provider: access.provider,
      access_key_id: access.accessKey,
      secret_access_key: access.secretKey,
      region: access.region,
      env_auth: 'false',
      no_check_bucket: 'true',
      encoding: DESTINATION_ENCODING,
      ...(access.endpoint === '' ? {} : { endpoint: access.endpoint, force_path_style: 'true' }),
    },
    access.bucket,
  );
}

function remote(name: string, backend: string, options: Readonly<Record<string, string>>, root: string): Remote {
  const env: Record<string, string> = { [`RCLONE_CONFIG_${name}_TYPE`]: backend };
  for (const [key, value] of Object.entries(options)) {
    // The registry lets no control character in; this is the last door before the environment.
    if (/[\u0000-\u001f\u007f]/.test(value))
      throw new BackupError('ERR_SOURCE_CONFIG', `The setting "${key}" of the source holds a control character.`);
    env[`RCLONE_CONFIG_${name}_${key.toUpperCase()}`] = value;
  }
  return {
    name,
    env,
    at(path) {
      const inside = path.replace(/^\/+/, '');
      const joined =
        root === '' || root.endsWith('/') ? `${root}${inside}` : inside === '' ? root : `${root}/${inside}`;
      return `${name}:${joined}`;
    },
  };
}
