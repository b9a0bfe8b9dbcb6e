import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { newCryptPasswords, openJobCipher, type JobCipher } from '../../src/crypt/job-cipher.ts';
import { cryptRemote } from '../../src/engines/rclone/remotes.ts';
import { toolPath } from '../../src/engines/tools.ts';
import { nativeNameOfPath, pathOfNativeName } from '../../src/layout/encoding.ts';
import { NASTY_NAMES } from '../layout/names.ts';

/** Below, at and above the edges of blocks. */
const SIZES = [0, 1, 15, 65_535, 65_536, 65_537, 131_072, 200_000];

let folder: string;
let cipher: JobCipher;
let contents: Map<string, Buffer>;

/** The real program, from one folder into another; one of them encrypted by the job's own remote. */
async function copy(direction: 'seal' | 'open', plain: string, sealed: string): Promise<void> {
  const crypt = cryptRemote('CRYPT', cipher.passwords);
  const inner = { at: (path: string) => `DISK:${path}` };
  const there = crypt.in(inner, sealed).at('');
  const places = direction === 'seal' ? [`RAW:${plain}`, there] : [there, `RAW:${plain}`];
  const local = {
    RCLONE_CONFIG_RAW_TYPE: 'local',
    RCLONE_CONFIG_RAW_ENCODING: 'Raw',
    RCLONE_CONFIG_DISK_TYPE: 'local',
  };
  await promisify(execFile)(
    toolPath('rclone'),
    ['--config', '', '--no-unicode-normalization', '--retries', '1', 'copy', ...places],
    { env: { ...local, ...crypt.env } },
  );
}

function filesIn(root: string): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  const walk = (at: Buffer): void => {
    for (const entry of readdirSync(at, { withFileTypes: true, encoding: 'buffer' })) {
      const path = Buffer.concat([at, Buffer.from('/'), entry.name]);
      if (entry.isDirectory()) walk(path);
      else found.set(path.subarray(root.length + 1).toString('latin1'), readFileSync(path));
    }
  };
  walk(Buffer.from(root));
  return found;
}

function write(root: string, name: Buffer, body: Buffer): void {
  const path = Buffer.concat([Buffer.from(`${root}/`), name]);
  mkdirSync(path.subarray(0, path.lastIndexOf('/')), { recursive: true });
  writeFileSync(path, body);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'e3-crypt-'));
  cipher = await openJobCipher(newCryptPasswords());
  contents = new Map([
    ...SIZES.map((size): [string, Buffer] => [`sizes/of/${size}`, randomBytes(size)]),
    ...NASTY_NAMES.map((name): [string, Buffer] => [pathOfNativeName(name), randomBytes(10)]),
  ]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the real rclone crypt', () => {
  it('writes names and content that are read here', async () => {
    const [plain, sealed] = [join(folder, 'plain'), join(folder, 'by-rclone')];
    mkdirSync(plain);
    for (const [path, body] of contents) write(plain, nativeNameOfPath(path), body);
    await copy('seal', plain, sealed);
    const there = filesIn(sealed);
    expect([...there.keys()].sort()).toEqual([...contents.keys()].map((path) => cipher.keyOfPath(path)).sort());
    for (const [key, body] of there) {
      const path = cipher.pathOfKey(key) ?? '';
      const expected = contents.get(path);
      expect([path, cipher.open(body).equals(expected ?? Buffer.from('none'))]).toEqual([path, true]);
      expect(cipher.sealedSize(expected?.length ?? -1)).toBe(body.length);
      expect(cipher.plainSize(body.length)).toBe(expected?.length);
    }
  });

  it('reads names and content that are written here', async () => {
    const [sealed, back] = [join(folder, 'by-us'), join(folder, 'back')];
    for (const [path, body] of contents) write(sealed, Buffer.from(cipher.keyOfPath(path)), cipher.seal(body));
    await copy('open', back, sealed);
    const restored = new Map(
      [...filesIn(back)].map(([name, body]) => [pathOfNativeName(Buffer.from(name, 'latin1')), body]),
    );
    expect([...restored.keys()].sort()).toEqual([...contents.keys()].sort());
    for (const [path, body] of contents) expect([path, restored.get(path)?.equals(body)]).toEqual([path, true]);
  });

  it('takes the folder of a claim whatever its name holds', async () => {
    const odd = join(folder, `odd "quoted", it's: a=b`);
    const [plain, back] = [join(folder, 'small'), join(folder, 'small-back')];
    mkdirSync(plain);
    writeFileSync(join(plain, 'file'), 'content');
    await copy('seal', plain, odd);
    expect(statSync(join(odd, cipher.keyOfPath('file'))).size).toBe(cipher.sealedSize(7));
    await copy('open', back, odd);
    expect(readFileSync(join(back, 'file'), 'utf8')).toBe('content');
    expect(relative(folder, odd)).toBe(`odd "quoted", it's: a=b`);
  });
});
