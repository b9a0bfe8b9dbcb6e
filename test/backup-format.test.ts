import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import type { JobEncryption } from '../src/crypt/job-encryption.ts';
import { cryptRemote } from '../src/engines/rclone/remotes.ts';
import { packageRoot, toolPath } from '../src/engines/tools.ts';
import { DESTINATION_ENCODING, pathOfRcloneName } from '../src/layout/encoding.ts';
import { ensureBucket, openS3Store } from '../src/storage/s3.ts';
import { ENCRYPTION } from './model/encryption.ts';
import { ModelEngine } from './model/source.ts';
import { TestJob, type RunRecord } from './backup/job.ts';
import { NASTY_NAMES } from './layout/names.ts';
import type { S3Server } from './servers/rclone-serve.ts';
import { startSeaweedFs } from './servers/seaweedfs.ts';

/** The script as the documentation shows it: what a person would copy from there. */
function readingScript(): string {
  const text = readFileSync(join(packageRoot(), 'docs', 'backup-format.md'), 'utf8');
  const script = /```python\n([\s\S]+?)```/.exec(text)?.[1];
  if (script === undefined) throw new Error('docs/backup-format.md shows no script');
  return script;
}

const kinds: [string, JobEncryption | null, 'sync' | 'archive'][] = [
  ['a point', null, 'sync'],
  ['a point of an encrypted job', ENCRYPTION, 'sync'],
  ['a point in archives', null, 'archive'],
  ['a point in encrypted archives', ENCRYPTION, 'archive'],
];

describe.each(kinds)('%s, read without this package', (_, encryption, mode) => {
  let server: S3Server;
  let folder: string;
  let job: TestJob;
  let first: RunRecord;
  let second: RunRecord;
  let newest: RunRecord;
  const before = new Map<string, Buffer>();

  const backUp = async (): Promise<RunRecord> => {
    const store = openS3Store(server.access('read'));
    return await job.run({ store, engine: new ModelEngine(job.source, store, encryption?.cipher) });
  };
  const contents = (): Map<string, Buffer> =>
    new Map(job.source.paths.map((path) => [path, job.source.read(path)?.body ?? Buffer.alloc(0)]));

  beforeAll(async () => {
    server = await startSeaweedFs();
    await ensureBucket(server.access('read'));
    folder = mkdtempSync(join(tmpdir(), 'e3-read-'));
    mkdirSync(join(folder, 'bin'));
    symlinkSync(toolPath('rclone'), join(folder, 'bin', 'rclone'));
    writeFileSync(join(folder, 'read-point.py'), readingScript());
    // Several objects an archive.
    const archive = { frameBytes: 2_000, objectBytes: 3_000 };
    job = new TestJob({ mode, archive, ...(encryption === null ? {} : { encryption }) });
    for (const name of NASTY_NAMES.filter((one) => !one.includes(0x0a) || one.length > 1)) {
      const path = pathOfRcloneName(standardNameOf(name));
      job.source.write(`names/${path}`, `this is ${path}`);
    }
    for (let i = 0; i < 300; i += 1) job.source.write(`plain/${i % 7}/${i}`, `content ${i}`);
    first = await backUp();
    for (const [path, body] of contents()) before.set(path, body);
    job.source.write('plain/0/0', 'changed');
    const moved = job.source.read('names/back\\slash') ?? null;
    job.source.set('names/back\\slash', null);
    job.source.set('moved＼away', moved);
    job.source.write('plain/1/1', 'cannot be read');
    job.source.broken.add('plain/1/1');
    second = await backUp();
    newest = second;
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function read(record: RunRecord, target: string): Promise<{ code: unknown; log: string }> {
    const access = server.access('read');
    const place = `BACKUP:read/${job.prefix}`;
    const args = [place, record === newest ? 'newest' : record.point.manifestKey, join(folder, target)];
    const crypt = encryption === null ? {} : cryptRemote('SEALED', encryption.cipher.passwords).env;
    if (encryption !== null) args.push('SEALED');
    const child = spawn('python3', [join(folder, 'read-point.py'), ...args], {
      env: {
        ...process.env,
        PATH: [join(folder, 'bin'), process.env['PATH']].join(delimiter),
        RCLONE_CONFIG: '/dev/null',
        RCLONE_CONFIG_BACKUP_TYPE: 's3',
        RCLONE_CONFIG_BACKUP_PROVIDER: access.provider,
        RCLONE_CONFIG_BACKUP_ENDPOINT: access.endpoint,
        RCLONE_CONFIG_BACKUP_ACCESS_KEY_ID: access.accessKey,
        RCLONE_CONFIG_BACKUP_SECRET_ACCESS_KEY: access.secretKey,
        RCLONE_CONFIG_BACKUP_ENCODING: DESTINATION_ENCODING,
        ...crypt,
      },
    });
    let log = '';
    child.stderr.on('data', (part: Buffer) => (log += part.toString()));
    return { code: await new Promise((resolve) => child.once('close', resolve)), log };
  }

  /** Path → content of everything below a folder. */
  function filesIn(root: string): Map<string, Buffer> {
    const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const paths = files.map((entry) => join(entry.parentPath, entry.name));
    return new Map(paths.map((path) => [relative(root, path), readFileSync(path)]));
  }

  it('gives back every byte of every file', async () => {
    expect(await read(first, 'first')).toEqual({ code: 0, log: '' });
    expect(filesIn(join(folder, 'first'))).toEqual(before);
  });

  it('gives back changed, moved and carried files', async () => {
    expect(second).toMatchObject({ status: 'warning', statistics: { moved: 1, carried: 1 } });
    expect(await read(second, 'second')).toEqual({ code: 0, log: '' });
    const expected = contents();
    expected.set('plain/1/1', before.get('plain/1/1') ?? Buffer.alloc(0));
    expect(filesIn(join(folder, 'second'))).toEqual(expected);
    expect(dirname(second.point.manifestKey)).toBe('manifests');
  });
});

/** rclone's standard form of a name that holds control characters or look-alikes. */
function standardNameOf(name: Buffer): Buffer {
  const quoted = name
    .toString('latin1')
    .replace(/\xe2\x80\x9b|\xe2\x90[\x80-\x9f\xa1]|\xef\xbc\x8f/g, '\xe2\x80\x9b$&');
  const shown = quoted.replace(
    /[\x01-\x1f]/g,
    (control) => `\xe2\x90${String.fromCharCode(0x80 + control.charCodeAt(0))}`,
  );
  const bytes = Buffer.from(shown.replaceAll('\x7f', '\xe2\x90\xa1'), 'latin1');
  const text = bytes.toString('utf8');
  return text === '．' || text === '．．' ? Buffer.from(text.replaceAll('．', '‛．')) : bytes;
}
