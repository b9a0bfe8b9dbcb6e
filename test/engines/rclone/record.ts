/**
 * Records what the real rclone says when real servers fail: `node test/engines/rclone/record.ts` writes
 * test/fixtures/rclone-logs/*.txt, the logs that error-classes.test.ts reads.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { text } from 'node:stream/consumers';
import { openJobCipher } from '../../../src/crypt/job-cipher.ts';
import type { Remote } from '../../../src/engines/rclone/remotes.ts';
import { bucketRemote, cryptRemote, sourceRemote } from '../../../src/engines/rclone/remotes.ts';
import { transferCommand } from '../../../src/engines/rclone/transfer.ts';
import type { BucketAccess } from '../../../src/storage/port.ts';
import { startRcloneS3, startRcloneSftp } from '../../servers/rclone-serve.ts';
import { startSshd } from '../../servers/sshd.ts';
import { BINARY, s3Source, sftpSource } from './engine.ts';

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'fixtures', 'rclone-logs');
const base = mkdtempSync(join(tmpdir(), 'e3-record-'));
chmodSync(base, 0o755);
const failing: { port: number; close(): void }[] = [];

interface Recording {
  readonly source: Remote;
  readonly destination: Remote;
  readonly files?: readonly string[];
  readonly flags?: readonly string[];
  /** Sent some time after the start. */
  readonly signal?: NodeJS.Signals;
}

async function record(name: string, { source, destination, files, flags = [], signal }: Recording): Promise<void> {
  const list = join(base, 'files');
  writeFileSync(list, `${(files ?? ['one', 'two/three']).join('\n')}\n`);
  const command = transferCommand(
    {
      args: [
        ...[
          'copy',
          source.at(''),
          destination.at('target'),
          '--files-from-raw',
          list,
          '--no-traverse',
          '--no-check-dest',
        ],
        ...[
          '--metadata',
          '--s3-no-head',
          '--low-level-retries',
          '1',
          '--contimeout',
          '2s',
          '--timeout',
          '5s',
          ...flags,
        ],
      ],
      remotes: [source, destination],
      statsSeconds: 1,
      bandwidth: signal === undefined ? 0 : 10,
    },
    { user: 'user', password: 'password' },
  );
  const child = spawn(BINARY.path, command.args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: base, TZ: 'UTC', ...command.env },
  });
  const ended = new Promise<string>((resolve) => child.once('close', (code, by) => resolve(String(by ?? code))));
  if (signal !== undefined) setTimeout(() => child.kill(signal), 1_500);
  const said = await text(child.stderr);
  const lines = said.split('\n').filter((line) => line !== '' && !line.includes('"stats":{'));
  writeFileSync(
    join(FOLDER, `${name}.txt`),
    `${[`# ended: ${await ended}`, ...lines.slice(0, 40).map(neutral)].join('\n')}\n`,
  );
  process.stdout.write(`${name} ${await ended} ${lines.length}\n`);
}

/** Without times, ports and places of this machine. */
function neutral(line: string): string {
  return line
    .replaceAll(base, '/run')
    .replaceAll(/\/tmp\/[\w./-]+/g, '/run/x')
    .replaceAll(/"time":"[^"]+"/g, '"time":"2026-01-31T02:00:00.000000000Z"')
    .replaceAll(/127\.0\.0\.1:\d+/g, '192.0.2.1:9000')
    .replaceAll(/(?:SHA256:)[A-Za-z0-9+/]{43}/g, `SHA256:${'x'.repeat(43)}`)
    .replaceAll(/0x[0-9a-f]{6,}/g, '0xc000000000')
    .replaceAll(/lookup (\S+) on [\d.]+:53/g, 'lookup $1 on 192.0.2.53:53')
    .replaceAll(/RequestID: [^,]+, HostID: [^,]+,/g, 'RequestID: 1, HostID: 1,')
    .slice(0, 4_000);
}

/** An S3 server that answers everything with one error. */
async function refusing(status: number, code: string): Promise<number> {
  const server: Server = createServer((_request, answer) => {
    const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
    answer.writeHead(status, { 'content-type': 'application/xml', 'content-length': body.length });
    answer.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  failing.push({ port, close: () => server.close() });
  return port;
}

mkdirSync(FOLDER, { recursive: true });
const folder = join(base, 's3');
for (const file of ['source/one', 'source/two/three', 'backups/keep']) {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), file.repeat(100));
}
const s3 = await startRcloneS3({ folder });
const certificate = join(base, 'cert.pem');
execFileSync('openssl', [
  ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '9'],
  ...['-keyout', join(base, 'key.pem'), '-out', certificate, '-subj', '/CN=storage'],
]);
const tls = await startRcloneS3({ folder, flags: ['--cert', certificate, '--key', join(base, 'key.pem')] });
const sftpFolder = join(base, 'sftp');
mkdirSync(join(sftpFolder, 'two'), { recursive: true });
writeFileSync(join(sftpFolder, 'one'), 'x'.repeat(1_000));
writeFileSync(join(sftpFolder, 'two', 'three'), 'y');
const sftp = await startRcloneSftp({ folder: sftpFolder });
const sshd = await startSshd();

const good = s3.access('source');
const destination = bucketRemote('DST', s3.access('backups'));
const s3At = (change: Partial<BucketAccess>): Remote => sourceRemote('SRC', s3Source({ ...good, ...change }));
const destinationAt = (change: Partial<BucketAccess>): Remote =>
  bucketRemote('DST', { ...s3.access('backups'), ...change });
const port = (number: number): string => `http://127.0.0.1:${number}`;

for (const [name, change] of [
  ['wrong-secret', { secretKey: 'not-the-secret-at-all' }],
  ['wrong-access-key', { accessKey: 'nobody-knows-this' }],
  ['missing-bucket', { bucket: 'missing' }],
  ['unknown-host', { endpoint: 'http://storage.invalid' }],
  ['refused', { endpoint: port(1) }],
  ['not-tls', { endpoint: s3.endpoint.replace('http:', 'https:') }],
  ['untrusted-certificate', { endpoint: tls.endpoint.replace('http:', 'https:') }],
  ['access-denied', { endpoint: port(await refusing(403, 'AccessDenied')) }],
  ['expired-token', { endpoint: port(await refusing(400, 'ExpiredToken')) }],
  ['slow-down', { endpoint: port(await refusing(503, 'SlowDown')) }],
  ['internal-error', { endpoint: port(await refusing(500, 'InternalError')) }],
  ['quota', { endpoint: port(await refusing(403, 'QuotaExceeded')) }],
  ['other-region', { endpoint: port(await refusing(301, 'PermanentRedirect')) }],
] as const) {
  await record(`s3-source-${name}`, { source: s3At(change), destination });
  await record(`storage-${name}`, { source: s3At({}), destination: destinationAt(change) });
}
// The whole source: what a listing meets.
const everything = { files: [], flags: ['--fast-list'] };
await record('s3-source-vanished', { source: s3At({}), destination, files: ['one', 'never/there'] });
await record('s3-source-empty-list', { source: s3At({}), destination, ...everything });

// Objects that are not what was encrypted: one without the beginning of an encrypted file, one with altered content.
const cipher = await openJobCipher({ password: 'password', password2: 'salt' });
const altered = cipher.seal(Buffer.alloc(300));
altered.fill(0, 40);
for (const [path, body] of [
  ['one', Buffer.alloc(300)],
  ['two/three', altered],
] as const) {
  const file = join(folder, 'backups', 'sealed', cipher.keyOfPath(path));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, body);
}
const crypt = cryptRemote('SRCCRYPT', cipher.passwords);
const held = bucketRemote('SRC', s3.access('backups'));
await record('crypt-damaged', {
  source: { ...crypt.in(held, 'sealed'), env: { ...held.env, ...crypt.env } },
  destination,
});

const password = { host: sftp.host, port: sftp.port, user: sftp.user, pass: sftp.password };
const key = { host: sshd.host, port: sshd.port, user: sshd.user, private_key: sshd.privateKey };
const [hostKey = ''] = sshd.hostKeys;
const { fetchHostKey } = await import('../../../src/sources/fetch-host-key.ts');
const passwordHostKey = await fetchHostKey(sftp, new AbortController().signal);
const sftpAt = (config: Record<string, unknown>, pinned: string, path = sftpFolder): Remote =>
  sourceRemote('SRC', sftpSource(config, path), { hostKey: pinned });
const foreign = await startSshd();
const rsa = await startSshd({ hostKeyTypes: ['rsa'] });
const encrypted = join(base, 'encrypted');
execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'right', '-f', encrypted]);

await record('sftp-wrong-password', {
  source: sftpAt({ ...password, pass: 'wrong' }, passwordHostKey, ''),
  destination,
});
await record('sftp-wrong-key', { source: sftpAt({ ...key, private_key: foreign.privateKey }, hostKey), destination });
await record('sftp-wrong-user', { source: sftpAt({ ...key, user: 'nobody-here' }, hostKey), destination });
await record('sftp-host-key-changed', { source: sftpAt(key, foreign.hostKeys[0] ?? ''), destination });
await record('sftp-host-key-of-another-kind', { source: sftpAt(key, rsa.hostKeys[0] ?? ''), destination });
await record('sftp-refused', { source: sftpAt({ ...key, port: 1 }, hostKey), destination });
await record('sftp-unknown-host', { source: sftpAt({ ...key, host: 'files.invalid' }, hostKey), destination });
await record('sftp-no-ssh', {
  source: sftpAt({ ...key, port: Number(new URL(s3.endpoint).port) }, hostKey),
  destination,
});
await record('sftp-wrong-passphrase', {
  source: sftpAt({ ...key, private_key: readFileSync(encrypted, 'utf8'), passphrase: 'wrong' }, hostKey),
  destination,
});
await record('sftp-missing-folder', { source: sftpAt(key, hostKey, join(sftpFolder, 'missing')), destination });
await record('sftp-missing-folder-all', {
  source: sftpAt(key, hostKey, join(sftpFolder, 'missing')),
  destination,
  ...everything,
});
await record('sftp-usage', { source: sftpAt(key, hostKey), destination, flags: ['--no-such-flag'] });
await record('sftp-crash', { source: sftpAt(key, hostKey), destination, signal: 'SIGQUIT' });
await record('sftp-terminated', { source: sftpAt(key, hostKey), destination, signal: 'SIGTERM' });

for (const server of failing) server.close();
await Promise.all([s3.stop(), tls.stop(), sftp.stop(), sshd.stop(), foreign.stop(), rsa.stop()]);
rmSync(base, { recursive: true, force: true });
process.exit(0);
