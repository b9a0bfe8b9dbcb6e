import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import type { ChildEnd } from '../../../src/engines/child.ts';
import { classify, storageSide, type Sides } from '../../../src/engines/rclone/error-classes.ts';
import { FailureLog } from '../../../src/engines/rclone/failures.ts';
import { linesOf, readLog, readLogLine } from '../../../src/engines/rclone/log.ts';
import type { ErrorCode } from '../../../src/errors/catalogue.ts';
import { s3Side } from '../../../src/sources/s3.ts';
import { parseSource, remoteOf } from '../../../src/sources/registry.ts';
import { sftpSide } from '../../../src/sources/sftp.ts';

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'fixtures', 'rclone-logs');

/** What each recording is to be taken for: `[of the whole transfer, of the files it names]`. */
const expected: Record<string, readonly [ErrorCode | null, ErrorCode | null]> = {
  // Listing comes before copying and tells a wrong key from a missing right; here S3 does not say why.
  's3-source-wrong-secret': [null, 'ERR_PERMISSION'],
  's3-source-wrong-access-key': [null, 'ERR_PERMISSION'],
  's3-source-access-denied': [null, 'ERR_PERMISSION'],
  's3-source-quota': [null, 'ERR_PERMISSION'],
  's3-source-missing-bucket': [null, null],
  's3-source-vanished': [null, null],
  's3-source-unknown-host': ['ERR_HOST_UNKNOWN', 'ERR_HOST_UNKNOWN'],
  's3-source-refused': ['ERR_CONNECTION_REFUSED', 'ERR_CONNECTION_REFUSED'],
  's3-source-not-tls': ['ERR_TLS', 'ERR_TLS'],
  's3-source-untrusted-certificate': ['ERR_TLS', 'ERR_TLS'],
  's3-source-expired-token': [null, 'ERR_TRANSFER'],
  's3-source-slow-down': ['ERR_NETWORK', 'ERR_NETWORK'],
  's3-source-internal-error': ['ERR_NETWORK', 'ERR_NETWORK'],
  's3-source-other-region': ['ERR_S3_BUCKET_NOT_FOUND', 'ERR_S3_BUCKET_NOT_FOUND'],
  's3-source-empty-list': [null, 'ERR_TRANSFER'],
  'storage-wrong-secret': ['ERR_DEST_AUTH', 'ERR_DEST_AUTH'],
  'storage-wrong-access-key': ['ERR_DEST_AUTH', 'ERR_DEST_AUTH'],
  'storage-access-denied': ['ERR_DEST_AUTH', 'ERR_DEST_AUTH'],
  'storage-expired-token': ['ERR_DEST_AUTH', 'ERR_DEST_AUTH'],
  'storage-missing-bucket': ['ERR_DEST_BUCKET_NOT_FOUND', 'ERR_DEST_BUCKET_NOT_FOUND'],
  'storage-other-region': ['ERR_DEST_BUCKET_NOT_FOUND', 'ERR_DEST_BUCKET_NOT_FOUND'],
  'storage-unknown-host': ['ERR_S3_PREFLIGHT_NETWORK', 'ERR_S3_PREFLIGHT_NETWORK'],
  'storage-refused': ['ERR_S3_PREFLIGHT_NETWORK', 'ERR_S3_PREFLIGHT_NETWORK'],
  'storage-not-tls': ['ERR_TLS', 'ERR_TLS'],
  'storage-untrusted-certificate': ['ERR_TLS', 'ERR_TLS'],
  'storage-slow-down': [null, 'ERR_RATE_LIMIT'],
  'storage-internal-error': ['ERR_S3_PREFLIGHT_NETWORK', 'ERR_S3_PREFLIGHT_NETWORK'],
  'storage-quota': ['ERR_QUOTA', 'ERR_QUOTA'],
  'crypt-damaged': [null, 'ERR_RESTORE_MISMATCH'],
  'sftp-wrong-password': ['ERR_SFTP_AUTH', null],
  'sftp-wrong-key': ['ERR_SFTP_AUTH', null],
  'sftp-wrong-user': ['ERR_SFTP_AUTH', null],
  'sftp-host-key-changed': ['ERR_SFTP_HOST_KEY_CHANGED', null],
  'sftp-host-key-of-another-kind': ['ERR_SFTP_HOST_KEY_CHANGED', null],
  'sftp-refused': ['ERR_CONNECTION_REFUSED', null],
  'sftp-unknown-host': ['ERR_HOST_UNKNOWN', null],
  'sftp-no-ssh': ['ERR_NETWORK', null],
  'sftp-wrong-passphrase': ['ERR_SOURCE_CONFIG', null],
  'sftp-missing-folder': [null, null],
  'sftp-missing-folder-all': [null, null],
  'sftp-usage': ['ERR_TRANSFER', null],
  'sftp-crash': ['ERR_TRANSFER', null],
  'sftp-terminated': ['ERR_RCLONE_KILLED', null],
};

function readRecording(name: string): { lines: string[]; end: ChildEnd } {
  const [head = '', ...lines] = readFileSync(join(FOLDER, `${name}.txt`), 'utf8')
    .trimEnd()
    .split('\n');
  const code = Number(head.replace('# ended: ', ''));
  return { lines, end: { exitCode: code, reason: code > 128 ? 'signal' : 'exit' } };
}

function collect(lines: readonly string[], sides: Sides, paths: readonly string[] = []): FailureLog {
  const log = new FailureLog(sides, paths);
  for (const text of lines) {
    const line = readLogLine(text);
    if (line !== null) log.take(line);
  }
  return log;
}

const S3: Sides = { SRC: s3Side, DST: storageSide };

describe('what rclone says of failures', () => {
  it('was recorded for every case', () => {
    expect(readdirSync(FOLDER).sort()).toEqual(
      Object.keys(expected)
        .map((name) => `${name}.txt`)
        .sort(),
    );
  });

  it.each(Object.entries(expected))('of %s is understood', (name, [whole, file]) => {
    const { lines, end } = readRecording(name);
    const log = collect(lines, name.startsWith('sftp') ? { SRC: sftpSide, DST: storageSide } : S3);
    const codes = new Set([...log.files.values()].map(({ code }) => code));
    expect([...codes]).toEqual(file === null ? [] : [file]);
    expect(log.verdict(end, 2)?.code ?? null).toBe(whole);
  });

  it.each([
    ['Update Create failed: permission denied', 'ERR_PERMISSION'],
    ['Put mkParentDir failed: mkdir "folder" failed: permission denied', 'ERR_PERMISSION'],
    ['Update ReadFrom failed: write large.01f4c649.partial: no space left on device', 'ERR_DISK_FULL'],
    ['failed to open: response error: {Access Denied} A process has requested access', 'ERR_PERMISSION'],
    ['failed to open source object: operation error S3: GetObject, StatusCode: 403, AccessDenied', 'ERR_DEST_AUTH'],
    ['object not found', 'ERR_OBJECT_MISSING'],
  ] as const)('is told from the step of writing where a file server is written to: %s', (message, code) => {
    const smbSide = remoteOf(parseSource({ type: 'smb', config: { host: 'h', share: 's', user: 'u' }, path: '' })).side;
    const side = message.includes('{Access Denied}') ? smbSide : sftpSide;
    expect(classify(message, { SRC: storageSide, DST: side }).code).toBe(code);
  });

  it('is a failure of single files when others arrived', () => {
    const { lines, end } = readRecording('storage-refused');
    const log = collect(lines, S3);
    expect([...log.files.keys()].sort()).toEqual(['one', 'two/three']);
    expect(log.verdict(end, 3)).toBeNull();
  });

  it('names nobody and nothing of the inside', () => {
    for (const name of Object.keys(expected)) {
      const { lines, end } = readRecording(name);
      const log = collect(lines, S3);
      const told = [...log.files.values(), log.verdict(end, 2)].map((failure) => failure?.message ?? '').join('\n');
      expect(told).not.toMatch(/127\.0\.0\.1|10\.\d+\.\d+\.\d+|x-id=/);
    }
  });

  it('finds the file whose name the log cannot show', () => {
    const line = {
      level: 'error',
      msg: 'Failed to copy: connection reset by peer',
      object: 'in \ufffd\ufffd/x',
    };
    const log = collect([JSON.stringify(line)], S3, ['in ‛E2‛80/x', 'plain', '‛‛']);
    expect([...log.files.keys()]).toEqual(['in ‛E2‛80/x']);
  });
});

describe('a log', () => {
  const chunks = (...parts: (string | Buffer)[]): Readable => Readable.from(parts.map((part) => Buffer.from(part)));

  it('is read line by line, however it comes', async () => {
    const lines = [];
    for await (const line of linesOf(
      chunks('a', 'b\n\nc', Buffer.from('é\nd').subarray(0, 1), Buffer.from('é\nd').subarray(1)),
    ))
      lines.push(line);
    expect(lines).toEqual(['ab', '', 'cé', 'd']);
  });

  it('does not fill the memory with a line that never ends', async () => {
    const endless = 'x'.repeat(100);
    const lines = [];
    for await (const line of linesOf(chunks(endless, endless, endless, '\nnext\n'), 150)) lines.push(line);
    expect(lines).toEqual(['x'.repeat(150), 'next']);
  });

  it('may hold a panic, a usage text and lines of several megabytes', async () => {
    const huge = `{"level":"error","msg":"${'y'.repeat(3_000_000)}"}`;
    const good = '{"level":"error","msg":"Failed to copy: EOF","object":"a"}';
    const log = new FailureLog(S3);
    for await (const line of readLog(
      chunks('panic: runtime error\n\ngoroutine 1 [running]:\n', huge, '\n', good, '\n'),
    ))
      log.take(line);
    expect(log.files.get('a')?.code).toBe('ERR_NETWORK');
    expect(collect(['panic: runtime error'], S3).verdict({ exitCode: 2, reason: 'exit' }, 1)).toMatchObject({
      code: 'ERR_TRANSFER',
      message: 'It ended with code 2: panic: runtime error',
    });
  });

  it('tells progress in the numbers of the source', () => {
    const stats = {
      bytes: 300, totalBytes: 100, checks: 3, transfers: 2, totalTransfers: 5, errors: 1, speed: 10.5, eta: null,
      transferring: [{ name: 'a', size: 1 }],
    }; // prettier-ignore
    expect(readLogLine(JSON.stringify({ level: 'notice', msg: 'stats', stats }))?.stats).toEqual({
      bytes: 300, bytesTotal: 300, checks: 3, files: 2, filesTotal: 5, errors: 1, speed: 10.5, etaSeconds: null,
      transferring: ['a'],
    }); // prettier-ignore
    expect(readLogLine('{"level":"notice","msg":"stats","stats":{"bytes":"many"}}')?.stats).toBeNull();
    expect(readLogLine('[1]')).not.toBeNull();
    expect(readLogLine('   ')).toBeNull();
  });
});
