import { awsRegions } from './aws-regions.ts';
import type { SourceField, SourceForm } from './source-fields.ts';

/** What the job form asks for each type of source. Pure. */
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

type When = SourceField['when'];

const signIn = (prefix: string, when: When, userHint: string): SourceField[] => [
  field({ name: `${prefix}_user`, setting: 'user', label: 'User name', size: 'half', hint: userHint, when }),
  field({ name: `${prefix}_pass`, setting: 'pass', label: 'Password', size: 'half', input: 'secret', when }),
];

const smbFields = (prefix: string, when: When = null): SourceField[] => [
  field({
    name: `${prefix}_host`,
    setting: 'host',
    label: 'Server',
    size: 'two-thirds',
    hint: 'Name or address, such as nas.example.com',
    when,
  }),
  field({ name: `${prefix}_port`, setting: 'port', label: 'Port', size: 'third', input: 'number', value: '445', when }),
  field({
    name: `${prefix}_share`,
    setting: 'share',
    label: 'Share',
    size: 'half',
    hint: 'The name after the server in \\\\server\\share',
    when,
  }),
  field({ name: `${prefix}_domain`, setting: 'domain', label: 'Domain', size: 'half', hint: 'Blank: WORKGROUP', when }),
  ...signIn(prefix, when, 'A user who may only read is best'),
];

const webdavVendors = [
  ['other', 'Any other'],
  ['nextcloud', 'Nextcloud'],
  ['owncloud', 'ownCloud'],
  ['infinitescale', 'ownCloud Infinite Scale'],
  ['fastmail', 'Fastmail'],
  ['rclone', 'rclone'],
] as const;

const ownAuthority = (prefix: string, when: When): SourceField =>
  field({
    name: `${prefix}_ca`,
    setting: 'ca_certificate',
    label: 'Certificate authority',
    input: 'pem',
    hint: 'Only for a server whose certificate no public authority has signed: the text from BEGIN to END',
    when,
  });

const webdavFields = (prefix: string, when: When = null): SourceField[] => [
  field({
    name: `${prefix}_url`,
    setting: 'url',
    label: 'Address',
    size: 'two-thirds',
    input: 'url',
    hint: 'Such as https://cloud.example.com/remote.php/dav/files/me',
    when,
  }),
  field({
    name: `${prefix}_vendor`,
    setting: 'vendor',
    label: 'Kind of server',
    size: 'third',
    input: 'choice',
    options: webdavVendors,
    when,
  }),
  ...signIn(prefix, when, 'An app password is best, where the server has them'),
  ownAuthority(prefix, when),
];

const ftpFields = (prefix: string, when: When): SourceField[] => [
  field({
    name: `${prefix}_host`,
    setting: 'host',
    label: 'Server',
    size: 'two-thirds',
    hint: 'Name or address, such as nas.example.com',
    when,
  }),
  field({
    name: `${prefix}_port`,
    setting: 'port',
    label: 'Port',
    size: 'third',
    input: 'number',
    hint: 'Blank: the usual one',
    when,
  }),
  field({
    name: `${prefix}_encryption`,
    setting: 'encryption',
    label: 'Encryption',
    options: [
      ['explicit', 'FTPS (explicit TLS)'],
      ['implicit', 'FTPS (implicit TLS)'],
      ['none', 'None: password and files can be read on the way'],
    ],
    input: 'choice',
    when,
  }),
  ...signIn(prefix, when, ''),
  ownAuthority(prefix, when),
];

const smb: SourceForm = {
  type: 'smb',
  title: 'Windows share',
  text: 'A share of Windows or Samba (SMB)',
  fields: smbFields('smb'),
  path: { name: 'smb_path', label: 'Folder', hint: 'Blank for the whole share', size: '' },
  connection: null,
};

const webdav: SourceForm = {
  type: 'webdav',
  title: 'WebDAV',
  text: 'Nextcloud, ownCloud and others',
  fields: webdavFields('webdav'),
  path: { name: 'webdav_path', label: 'Folder', hint: 'Blank for all of it', size: '' },
  connection: null,
};

const overProtocol = (protocol: string): When => ({
  name: 'nas_protocol',
  values: [protocol],
  css: `for-nas-${protocol}`,
});

const nas: SourceForm = {
  type: 'nas',
  title: 'NAS',
  text: 'Synology, QNAP and others',
  fields: [
    field({
      name: 'nas_protocol',
      setting: 'protocol',
      label: 'Reached by',
      input: 'radio',
      value: 'smb',
      options: [
        ['smb', 'Windows share (SMB)'],
        ['webdav', 'WebDAV'],
        ['ftp', 'FTP or FTPS'],
      ],
    }),
    ...smbFields('nas_smb', overProtocol('smb')),
    ...webdavFields('nas_webdav', overProtocol('webdav')),
    ...ftpFields('nas_ftp', overProtocol('ftp')),
  ],
  path: { name: 'nas_path', label: 'Folder', hint: 'Blank for all of it', size: '' },
  connection: null,
};

const account = (name: string): SourceField =>
  field({
    name,
    setting: 'connection',
    label: 'Account',
    size: 'two-thirds',
    input: 'connection',
    hint: 'Only reading is allowed there',
  });

const googleDrive: SourceForm = {
  type: 'google_drive',
  title: 'Google Drive',
  text: 'My Drive or a shared drive',
  fields: [
    account('gdrive_connection'),
    field({
      name: 'gdrive_team_drive',
      setting: 'team_drive',
      label: 'Shared drive',
      size: 'half',
      hint: 'Its id, or choose it below. Blank: My Drive',
    }),
    field({
      name: 'gdrive_root_folder_id',
      setting: 'root_folder_id',
      label: 'Id of the folder',
      size: 'half',
      hint: 'Holds also when the folder is renamed. Blank: the whole drive',
    }),
  ],
  path: { name: 'gdrive_path', label: 'Folder below it', hint: 'Blank for all of it', size: '' },
  connection: 'google_drive',
};

const dropbox: SourceForm = {
  type: 'dropbox',
  title: 'Dropbox',
  text: 'Files of a Dropbox account',
  fields: [account('dropbox_connection')],
  path: { name: 'dropbox_path', label: 'Folder', hint: 'Blank for all of it', size: '' },
  connection: 'dropbox',
};

/** Every form, in the order of the choices. */
export const forms: readonly SourceForm[] = [s3Compatible, aws, sftp, smb, nas, webdav, googleDrive, dropbox];
