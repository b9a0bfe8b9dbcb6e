import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toolPath } from '../../src/engines/tools.ts';
import {
  DESTINATION_ENCODING,
  isPath,
  keyOfPath,
  localNameOfPath,
  pathOfKey,
  pathOfRcloneName,
  rcloneNameOfPath,
} from '../../src/layout/encoding.ts';
import type { BucketAccess } from '../../src/storage/port.ts';
import { ensureBucket, openS3Store } from '../../src/storage/s3.ts';
import { startRcloneS3, type S3Server } from '../servers/rclone-serve.ts';
import { startSeaweedFs } from '../servers/seaweedfs.ts';
import { NASTY_NAMES } from './names.ts';

/** Runs rclone with a source that takes names as they are, and the destination of the format. */
async function rclone(args: readonly string[], access: BucketAccess): Promise<Buffer> {
  const env = {
    RCLONE_CONFIG_SRC_TYPE: 'local',
    RCLONE_CONFIG_SRC_ENCODING: 'Raw',
    RCLONE_CONFIG_DST_TYPE: 's3',
    RCLONE_CONFIG_DST_PROVIDER: access.provider,
    RCLONE_CONFIG_DST_ENDPOINT: access.endpoint,
    RCLONE_CONFIG_DST_ACCESS_KEY_ID: access.accessKey,
    RCLONE_CONFIG_DST_SECRET_ACCESS_KEY: access.secretKey,
    RCLONE_CONFIG_DST_ENCODING: DESTINATION_ENCODING,
  };
  const child = spawn(toolPath('rclone'), ['--config', '', '--no-unicode-normalization', '--retries', '1', ...args], {
    env,
  });
  const out: Buffer[] = [];
  let log = '';
  child.stdout.on('data', (part: Buffer) => out.push(part));
  child.stderr.on('data', (part: Buffer) => (log += part.toString()));
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`rclone ended with ${String(code)}: ${log}`);
  return Buffer.concat(out);
}

let folder: string;
let names: Buffer[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'e3-names-'));
  mkdirSync(join(folder, 'src'));
  for (const name of NASTY_NAMES) writeFileSync(Buffer.concat([Buffer.from(join(folder, 'src/')), name]), 'x');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const servers: [string, () => Promise<S3Server>, (path: string) => boolean][] = [
  ['SeaweedFS', () => startSeaweedFs(), () => true],
  // It takes keys for names of rclone's own standard form, and so changes those that hold a quote where that form has none.
  ['rclone serve s3', () => startRcloneS3(), (path) => !/‛(?![‛␀-␟␡．／])/.test(keyOfPath(path))],
];

describe.each(servers)('names on %s', (_, start, isKept) => {
  let server: S3Server;
  let access: BucketAccess;
  beforeAll(async () => {
    server = await start();
    access = server.access('names');
    await ensureBucket(access);
    names = (await rclone(['lsf', 'SRC:' + join(folder, 'src')], access))
      .toString('latin1')
      .split('\n')
      .filter(Boolean)
      .map((name) => Buffer.from(name, 'latin1'));
  });
  afterAll(async () => await server.stop());

  const keysOf = async (prefix: string): Promise<string[]> => {
    const keys: string[] = [];
    for await (const { key } of openS3Store(access).list(prefix)) keys.push(key.slice(prefix.length));
    return keys;
  };

  it('come to the very keys that the mapping gives', async () => {
    expect(names).toHaveLength(NASTY_NAMES.length);
    const paths = names.map(pathOfRcloneName).filter(isKept);
    expect(paths.length).toBeGreaterThan(NASTY_NAMES.length / 2);
    await rclone(['copy', '--no-check-dest', 'SRC:' + join(folder, 'src'), 'DST:names/all'], access);
    const keys = new Set(await keysOf('all/'));
    for (const path of paths) {
      expect(isPath(path)).toBe(true);
      expect([path, keys.has(keyOfPath(path))]).toEqual([path, true]);
      expect(pathOfKey(keyOfPath(path))).toBe(path);
    }
  });

  it('can be asked for by a list of files', async () => {
    const paths = names.map(pathOfRcloneName).filter(isKept);
    const list = join(folder, 'list');
    writeFileSync(list, Buffer.concat(paths.flatMap((path) => [rcloneNameOfPath(path), Buffer.from('\n')])));
    await rclone(
      ['copy', '--no-traverse', '--files-from-raw', list, 'SRC:' + join(folder, 'src'), 'DST:names/listed'],
      access,
    );
    expect(new Set(await keysOf('listed/'))).toEqual(new Set(paths.map(keyOfPath)));
  });

  it('come back to local names that the mapping gives', async () => {
    const back = join(folder, `back-${access.provider}`);
    const paths = names.map(pathOfRcloneName).filter(isKept);
    const list = join(folder, 'list');
    writeFileSync(list, Buffer.concat(paths.flatMap((path) => [rcloneNameOfPath(path), Buffer.from('\n')])));
    await rclone(['copy', '--files-from-raw', list, 'DST:names/listed', back], access);
    const restored = readdirSync(Buffer.from(back), { encoding: 'buffer' }).map((name) => name.toString('latin1'));
    expect(new Set(restored)).toEqual(new Set(paths.map((path) => localNameOfPath(path).toString('latin1'))));
  });
});
