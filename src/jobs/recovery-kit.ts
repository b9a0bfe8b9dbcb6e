import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CryptPasswords } from '../crypt/job-cipher.ts';
import { obscure } from '../engines/rclone/obscure.ts';
import { packageRoot } from '../engines/tools.ts';
import { BackupError } from '../errors/backup-error.ts';
import { DESTINATION_ENCODING } from '../layout/encoding.ts';

/** What a recovery kit is made of. */
export interface KitContent {
  readonly job: { readonly uuid: string; readonly name: string };
  readonly bucket: string;
  /** Ends in a slash. */
  readonly prefix: string;
  /** As in BucketAccess; the keys of the storage are not part of it. */
  readonly storage: { readonly endpoint: string; readonly region: string; readonly provider: string };
  readonly passwords: CryptPasswords;
  /** Epoch milliseconds. */
  readonly madeAt: number;
}

export interface KitFile {
  readonly name: string;
  readonly text: string;
}

/** All that is needed to restore an encrypted job by rclone alone, without this package or its database. */
export async function kitFiles(content: KitContent): Promise<KitFile[]> {
  return [
    { name: 'README.txt', text: readme(content) },
    { name: 'rclone.conf', text: configuration(content) },
    { name: 'read-point.py', text: await readingScript() },
  ];
}

/** The script that docs/backup-format.md shows, and a test reads points with. */
export async function readingScript(): Promise<string> {
  const text = await readFile(join(packageRoot(), 'docs', 'backup-format.md'), 'utf8');
  const script = /```python\n([\s\S]+?)```/.exec(text)?.[1];
  if (script === undefined) throw new BackupError('ERR_INTERNAL', 'docs/backup-format.md shows no script.');
  return script;
}

function configuration({ bucket, prefix, storage, passwords }: KitContent): string {
  return `# Fill in the two keys of your storage account. The passwords below are those of the backup, in the form that rclone wants.
[backup]
type = s3
provider = ${storage.provider}
${storage.endpoint === '' ? '' : `endpoint = ${storage.endpoint}\nforce_path_style = true\n`}region = ${storage.region}
access_key_id =
secret_access_key =
no_check_bucket = true
encoding = ${DESTINATION_ENCODING}

[sealed]
type = crypt
remote = backup:${placeOf({ bucket, prefix })}
filename_encryption = off
directory_name_encryption = false
suffix = none
filename_encoding = base64
password = ${obscure(passwords.password)}
password2 = ${obscure(passwords.password2)}
`;
}

function readme({ job, bucket, prefix, passwords, madeAt }: KitContent): string {
  const place = placeOf({ bucket, prefix });
  const command = `python3 read-point.py ${quoted(`backup:${place}`)}`;
  return `RECOVERY KIT
============

Job:     ${oneLine(job.name)}
Number:  ${job.uuid}
Bucket:  ${bucket}
Folder:  ${oneLine(prefix)}
Made:    ${new Date(madeAt).toISOString()}

With this kit anybody who can also read the bucket can read the backups of this job. Keep it where you keep passwords, not in the
bucket, and not only on the computer that is backed up. Without it, nobody but the service that made the backups can read them.

The passwords of the backup never change. They are, as rclone crypt takes them (password, and password2, the salt):

    ${passwords.password}
    ${passwords.password2}


HOW TO RESTORE WITHOUT THE SERVICE
----------------------------------

1. Install rclone 1.75 or newer (https://rclone.org/downloads/), zstd, and Python 3.

2. Enter the access key and the secret key of your storage account in rclone.conf, and tell rclone and the script to use it:

       export RCLONE_CONFIG="$PWD/rclone.conf"

3. Restore the newest restore point into the folder "restored":

       ${command} newest restored sealed

   For another one, look which there are (those with an .ok and without a .pruned beside them):

       rclone lsl ${quoted(`backup:${place}/manifests`)} --include '*.ok'

   and name it instead of "newest":

       ${command} manifests/<run>.<claim>.json restored sealed

The script compares every file that it restores with the size, and where one is known the checksum, that the backup recorded.
`;
}

/** Without the slash at its end. */
function placeOf({ bucket, prefix }: Pick<KitContent, 'bucket' | 'prefix'>): string {
  return `${bucket}/${prefix}`.replace(/\/+$/, '');
}

/** For a shell of Unix. */
function quoted(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ');
}
