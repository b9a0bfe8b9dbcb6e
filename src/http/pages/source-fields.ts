import { sourceTypes, type SourceTypeName } from '../../sources/registry.ts';
import { awsRegions } from './aws-regions.ts';

/** One field of a source in the job form. What it may hold is said by the type's own schema (src/sources). */
export interface SourceField {
  /** Of the input: `sftp_host`. */
  readonly name: string;
  /** Inside of `source_config`; '' = only for the form itself. */
  readonly setting: string;
  readonly label: string;
  readonly size: '' | 'half' | 'third' | 'two-thirds';
  readonly input: 'text' | 'number' | 'url' | 'secret' | 'lines' | 'choice' | 'radio' | 'connection';
  readonly hint: string;
  /** Value and label: of a choice, or suggestions for a text. */
  readonly options: readonly (readonly [value: string, label: string])[];
  /** What a new job begins with. */
  readonly value: string;
  /** It shows, and is sent, only while another field of the form has one of these values; styles/forms.css knows the class. */
  readonly when: { readonly name: string; readonly values: readonly string[]; readonly css: string } | null;
}

export interface SourceForm {
  readonly type: SourceTypeName;
  readonly title: string;
  readonly text: string;
  readonly fields: readonly SourceField[];
  /** Where in the source: every type has one. */
  readonly path: {
    readonly name: string;
    readonly label: string;
    readonly hint: string;
    readonly size: SourceField['size'];
  };
  /** Type of the connection that a job of this type chooses. */
  readonly connection: 'google_drive' | 'dropbox' | null;
}

type Given = Partial<SourceField> & Pick<SourceField, 'name' | 'label'>;

function field(given: Given): SourceField {
  return { setting: '', size: '', input: 'text', hint: '', options: [], value: '', when: null, ...given };
}

/** Dialects of S3 by the name that the source keeps. */
const s3Providers = [
  ['Other', 'Any other'],
  ['Ceph', 'Ceph'],
  ['Cloudflare', 'Cloudflare R2'],
  ['Minio', 'MinIO'],
  ['Rclone', 'rclone'],
  ['SeaweedFS', 'SeaweedFS'],
  ['Wasabi', 'Wasabi'],
] as const;

const s3Keys = (prefix: string): SourceField[] => [
  field({
    name: `${prefix}_access_key`,
    setting: 'access_key',
    label: 'Access key',
    size: 'half',
    hint: 'A key that may only list and read is best',
  }),
  field({ name: `${prefix}_secret_key`, setting: 'secret_key', label: 'Secret key', size: 'half', input: 'secret' }),
];

const s3Compatible: SourceForm = {
  type: 's3_compatible',
  title: 'S3-compatible',
  text: 'A bucket on any S3 server',
  fields: [
    field({
      name: 's3_endpoint',
      setting: 'endpoint',
      label: 'Endpoint',
      size: 'two-thirds',
      input: 'url',
      hint: 'Address of the S3 server, such as https://s3.example.com',
    }),
    field({ name: 's3_region', setting: 'region', label: 'Region', size: 'third', hint: 'Blank: us-east-1' }),
    field({
      name: 's3_provider',
      setting: 'provider',
      label: 'Kind of server',
      size: 'third',
      input: 'choice',
      options: s3Providers,
    }),
    field({ name: 's3_bucket', setting: 'bucket', label: 'Bucket', size: 'two-thirds' }),
    ...s3Keys('s3'),
  ],
  path: { name: 's3_path', label: 'Folder', hint: 'Blank for the whole bucket', size: '' },
  connection: null,
};

const aws: SourceForm = {
  type: 'aws',
  title: 'AWS S3',
  text: 'A bucket at Amazon',
  fields: [
    field({ name: 'aws_bucket', setting: 'bucket', label: 'Bucket', size: 'half' }),
    field({
      name: 'aws_region',
      setting: 'region',
      label: 'Region',
      size: 'half',
      hint: 'Where the bucket lies, such as eu-west-1',
      options: awsRegions.map(({ id, name }) => [id, name] as const),
    }),
    ...s3Keys('aws'),
  ],
  path: { name: 'aws_path', label: 'Folder', hint: 'Blank for the whole bucket', size: '' },
  connection: null,
};

const withKey = { name: 'sftp_auth', values: ['key'], css: 'for-key' };

const sftp: SourceForm = {
  type: 'sftp',
  title: 'SFTP',
  text: 'A folder on a server with SSH',
  fields: [
    field({
      name: 'sftp_host',
      setting: 'host',
      label: 'Server',
      size: 'two-thirds',
      hint: 'Name or address, such as files.example.com',
    }),
    field({ name: 'sftp_port', setting: 'port', label: 'Port', size: 'third', input: 'number', value: '22' }),
    field({ name: 'sftp_user', setting: 'user', label: 'User name', size: 'half' }),
    field({
      name: 'sftp_auth',
      label: 'Sign in with',
      input: 'radio',
      value: 'password',
      options: [
        ['password', 'Password'],
        ['key', 'Private key'],
      ],
    }),
    field({
      name: 'sftp_pass',
      setting: 'pass',
      label: 'Password',
      size: 'half',
      input: 'secret',
      when: { name: 'sftp_auth', values: ['password'], css: 'for-password' },
    }),
    field({
      name: 'sftp_key',
      setting: 'private_key',
      label: 'Private key',
      input: 'lines',
      hint: 'The whole file, from BEGIN to END',
      when: withKey,
    }),
    field({
      name: 'sftp_passphrase',
      setting: 'passphrase',
      label: 'Passphrase of the key',
      size: 'half',
      input: 'secret',
      hint: 'Blank if it has none',
      when: withKey,
    }),
  ],
  path: { name: 'sftp_path', label: 'Folder', hint: 'Blank for the folder where the user starts', size: '' },
  connection: null,
};

const forms: Readonly<Partial<Record<SourceTypeName, SourceForm>>> = { s3_compatible: s3Compatible, aws, sftp };

/** The parts of the form, one for each source type that is built, in the order of the choices. */
export const sourceForms: readonly SourceForm[] = Object.values(forms).filter((form) =>
  sourceTypes.some((type) => type.name === form.type),
);

/** What a field holds when the form opens. `stored`: a secret is there, and stays while the field is blank. */
export interface ShownField extends SourceField {
  readonly stored: boolean;
}

/**
 * The parts of the form, filled for the type of the job.
 * @param source what is stored, without secrets, and which secrets there are
 */
export function filledForms(source: {
  readonly type: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, boolean>>;
  readonly path: string;
}): object[] {
  return sourceForms.map((form) => {
    const own = form.type === source.type;
    const fields = form.fields.map((one): ShownField => {
      if (!own) return { ...one, stored: false };
      const stored = one.setting !== '' && source.secrets[one.setting] === true;
      return { ...one, stored, value: valueOf(one, source) };
    });
    return { ...form, chosen: own, fields, path: { ...form.path, value: own ? source.path : '' } };
  });
}

function valueOf(one: SourceField, source: Parameters<typeof filledForms>[0]): string {
  if (one.name === 'sftp_auth')
    return source.secrets['private_key'] === true && source.secrets['pass'] !== true ? 'key' : 'password';
  if (one.setting === '') return one.value;
  const value = source.config[one.setting];
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : one.value;
}
