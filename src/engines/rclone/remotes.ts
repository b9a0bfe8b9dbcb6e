import type { CryptPasswords } from '../../crypt/job-cipher.ts';
import { BackupError } from '../../errors/backup-error.ts';
import { DESTINATION_ENCODING, pathOfNativeName, rcloneNameOfPath } from '../../layout/encoding.ts';
import type { RemoteDefinition } from '../../sources/registry.ts';
import type { BucketAccess } from '../../storage/port.ts';
import { obscure } from './obscure.ts';

/** A remote by its name: the settings go by environment, never by argv or file. */
export interface Remote {
  /** Upper case, so that it is its own name in the environment. */
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** As `Pace.resumes`. */
  readonly resumes?: false;
  /**
   * `NAME:root/path/`, for a folder. The slash at the end matters: without it rclone asks S3 first whether the folder is an object,
   * and when the server does not answer, takes it for one.
   * @param path in the spelling of entries' paths
   */
  at(path: string): string;
  /** `NAME:root/path`, for a file. */
  file(path: string): string;
}

/** What a source's remote needs beside its definition. */
export interface SourceExtras {
  /** SFTP: the pinned host key; the connection is refused when the server shows another one. */
  readonly hostKey?: string | null;
}

export function sourceRemote(name: string, definition: RemoteDefinition, extras: SourceExtras = {}): Remote {
  const options: Record<string, string> = { ...definition.options };
  for (const key of definition.obscured) if (options[key] !== undefined) options[key] = obscure(options[key]);
  // With any other encoding, some names of the source are taken for others and cannot be read.
  options['encoding'] = 'Raw';
  if (definition.backend === 'sftp') {
    if (!extras.hostKey) throw new BackupError('ERR_INTERNAL', 'An SFTP source must have a pinned host key.');
    options['host_keys'] = extras.hostKey;
    // For traversals: links may lead in circles, and reading a pipe blocks the server. Files that are named are found through links.
    options['skip_links'] = 'true';
  }
  return {
    ...remote(name, definition.backend, options, pathOfNativeName(definition.root)),
    ...(definition.pace.resumes === false ? { resumes: false as const } : {}),
  };
}

/** The root of another remote under a name of its own, to be given together with it. */
export function aliasRemote(name: string, of: Remote): Remote {
  return remote(name, 'alias', { remote: of.at('') }, '');
}

/** A bucket with the encoding of the backup format. */
export function bucketRemote(name: string, access: BucketAccess): Remote {
  const options = {
    provider: access.provider,
    access_key_id: access.accessKey,
    secret_access_key: access.secretKey,
    region: access.region,
    env_auth: 'false',
    no_check_bucket: 'true',
    encoding: DESTINATION_ENCODING,
    ...(access.endpoint === '' ? {} : { endpoint: access.endpoint, force_path_style: 'true' }),
  };
  return remote(name, 's3', options, access.bucket);
}

/** Encrypted files: rclone crypt over folders of a bucket. */
export interface CryptRemote {
  readonly env: Readonly<Record<string, string>>;
  /** The files of one claim; paths are those of the files, which are encrypted on their way. @param bucket may carry options of its own */
  in(bucket: Pick<Remote, 'at'>, folder: string): Remote;
}

/**
 * One remote for the folders of all claims: which one it is lies in the address, the passwords lie in the environment. The address shows
 * on command lines, and holds nothing but folders.
 */
export function cryptRemote(name: string, { password, password2 }: CryptPasswords): CryptRemote {
  const options = {
    password: obscure(password),
    password2: obscure(password2),
    filename_encryption: 'standard',
    filename_encoding: 'base64',
    directory_name_encryption: 'true',
  };
  const { env } = remote(name, 'crypt', options, '');
  return {
    env,
    in(bucket, folder) {
      const inner = bucket.at(folder).replaceAll('"', '""');
      return { name, env, ...addresses(`${name},remote="${inner}"`, '') };
    },
  };
}

function remote(name: string, backend: string, options: Readonly<Record<string, string>>, root: string): Remote {
  if (!/^[A-Z][A-Z0-9_]*$/.test(name)) throw new Error(`"${name}" cannot be the name of a remote`);
  const env: Record<string, string> = { [`RCLONE_CONFIG_${name}_TYPE`]: backend };
  for (const [key, value] of Object.entries(options)) {
    // The registry lets no control character in; this is the last door before the environment.
    if (/[\u0000-\u001f\u007f]/.test(value))
      throw new BackupError('ERR_SOURCE_CONFIG', `The setting "${key}" of the source holds a control character.`);
    env[`RCLONE_CONFIG_${name}_${key.toUpperCase()}`] = value;
  }
  return { name, env, ...addresses(name, root) };
}

/** @param name of the remote, with what overrides its settings */
function addresses(name: string, root: string): Pick<Remote, 'at' | 'file'> {
  const below = (path: string): string => {
    const inside = path.replace(/^\/+|\/+$/g, '');
    if (inside === '' || root === '') return root === '' ? inside : root;
    return root.endsWith('/') ? root + inside : `${root}/${inside}`;
  };
  return {
    at(path) {
      const place = below(path);
      return `${name}:${argumentOf(place)}${place === '' || place.endsWith('/') ? '' : '/'}`;
    },
    file: (path) => `${name}:${argumentOf(below(path))}`,
  };
}

/** Command lines are text: a folder whose name is none can only be reached through a list of files. */
function argumentOf(path: string): string {
  const name = rcloneNameOfPath(path);
  const text = name.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(name)) {
    throw new BackupError('ERR_SOURCE_CONFIG', 'The name of the folder is not valid Unicode.');
  }
  return text;
}
