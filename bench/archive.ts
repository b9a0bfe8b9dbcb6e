import { spawn, spawnSync } from 'node:child_process';
import { linkSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openCopySource } from '../src/archive/copy-source.ts';
import { DEFAULT_MEMORY_ITEMS } from '../src/backup/context.ts';
import { toolPath, toolVersions } from '../src/engines/tools.ts';
import { LocalTarget } from '../src/restore/local-target.ts';
import { rcloneBulk } from '../src/restore/rclone-bulk.ts';
import { requireExact } from '../src/restore/report.ts';
import { restorePoint } from '../src/restore/restore-point.ts';
import { newCryptPasswords } from '../src/crypt/job-cipher.ts';
import { cryptRemote } from '../src/engines/rclone/remotes.ts';
import type { BucketAccess } from '../src/storage/port.ts';
import { figureOf, interleave, seconds, type Bench, type BenchOptions, type Figure } from './figures.ts';
import { build } from './idle.ts';
import { Installation } from './installation.ts';
import { benchFolder, startServer, type BenchServer } from './servers.ts';
import { mixedSize, writeLargeFile, writeTree } from './trees.ts';

const SMALL_FILES = 10_000;
const LARGE_FILES = 4;
const LARGE_BYTES = 512 * 1024 ** 2;
const PEAK_FILES = 5;
const PEAK_BYTES = 1024 ** 3;
/** In each direction, so that an answer takes twice this. */
const DELAY_MS = 10;
const ENCRYPTED = { backup_mode: 'archive', encryption_enabled: true };
const PLAIN = { backup_mode: 'archive' };

/**
 * Runs that write archives, over a distance, beside what somebody would do by hand: mount the source, tar, zstd on two cores, upload. And what
 * such a run holds in memory, and how long it takes to get one file out.
 */
export const archiveBench: Bench = {
  figures: [
    'archive_small_speedup',
    'archive_large_speedup',
    'archive_crypt_large_speedup',
    'archive_peak_mb',
    'archive_crypt_peak_mb',
    'archive_single_file_seconds',
  ],
  async run(options) {
    const { wanted, scale } = options;
    const figures: Figure[] = [];
    if (wanted('archive_small_speedup')) {
      const fill = (folder: string): void => writeTree(folder, Math.ceil(SMALL_FILES * scale), mixedSize);
      figures.push(await speedup(options, { name: 'archive_small_speedup', limit: 5, fill, job: PLAIN }));
    }
    const fill = (folder: string): void => writeLarge(folder, LARGE_FILES, Math.ceil(LARGE_BYTES * scale));
    for (const [name, job] of [
      ['archive_large_speedup', PLAIN],
      ['archive_crypt_large_speedup', ENCRYPTED],
    ] as const)
      if (wanted(name)) figures.push(await speedup(options, { name, limit: 1, fill, job }));
    for (const [name, job] of [
      ['archive_peak_mb', PLAIN],
      ['archive_crypt_peak_mb', ENCRYPTED],
    ] as const)
      if (wanted(name)) figures.push(await peak(options, name, job));
    if (wanted('archive_single_file_seconds')) figures.push(await singleFile(options));
    return figures;
  },
};

/** The same bytes under several names: what is read does not grow with what lies there. */
function writeLarge(folder: string, count: number, bytes: number): void {
  writeLargeFile(folder, bytes);
  for (let copy = 2; copy <= count; copy += 1) linkSync(join(folder, 'large.bin'), join(folder, `large-${copy}.bin`));
}

async function withServers<T>(
  options: { distant: boolean; built?: boolean; fill: (folder: string) => void },
  work: (source: BenchServer, destination: BenchServer, installation: Installation) => Promise<T>,
): Promise<T> {
  const { distant, built = false, fill } = options;
  const source = await startServer({ distant, fill });
  const destination = await startServer({ distant });
  const installation = await Installation.start({ source, destination }, { built });
  try {
    return await work(source, destination, installation);
  } finally {
    await installation.stop();
    await source.stop();
    await destination.stop();
  }
}

type JobFields = Readonly<Record<string, unknown>>;

async function speedup(
  options: BenchOptions,
  figure: { name: string; limit: number; fill: (folder: string) => void; job: JobFields },
): Promise<Figure> {
  const { name, limit, fill, job } = figure;
  return await withServers({ distant: true, fill }, async (source, destination, installation) => {
    for (const server of [source, destination]) await server.setDelay(DELAY_MS);
    let made = 0;
    const { a, b } = await interleave(
      options,
      name,
      async () => await archiveRun(installation, job),
      async () => {
        made += 1;
        const took = await byHand(source.access, destination.access, `by-hand-${made}`, job === ENCRYPTED);
        await destination.discard(`by-hand-${made}`);
        return took;
      },
    );
    options.say(`${name}: ours ${shown(a)}, by hand ${shown(b)}`);
    const ratios = a.map((ours, pair) => (b[pair] ?? NaN) / ours);
    return figureOf(name, ratios, { unit: '× as fast as by hand', limit, better: 'higher' });
  });
}

function shown(seconds: readonly number[]): string {
  return `${seconds.map((second) => second.toFixed(1)).join(' ')} s`;
}

async function archiveRun(installation: Installation, fields: JobFields): Promise<number> {
  const job = await installation.newJob(fields);
  const { seconds: took } = await installation.run(job);
  await installation.discard(job);
  return took;
}

/** `rclone mount | tar | zstd -T2 | rclone rcat`. Parts of 64 MiB, without which the upload could not become as large as ours. */
async function byHand(
  source: BucketAccess,
  destination: BucketAccess,
  folder: string,
  encrypted: boolean,
): Promise<number> {
  const mount = join(benchFolder(), 'mount');
  mkdirSync(mount, { recursive: true });
  const rclone = toolPath('rclone');
  const crypt = cryptRemote('CRYPT', newCryptPasswords());
  const target = encrypted
    ? crypt.in({ at: (path) => `DST:${destination.bucket}/${path}` }, folder).file('archive.tar.zst')
    : `DST:${destination.bucket}/${folder}/archive.tar.zst`;
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    ...remote('SRC', source),
    ...remote('DST', destination),
    ...crypt.env,
  };
  const mounted = spawn(rclone, ['mount', `SRC:${source.bucket}`, mount, '--read-only', '--config', ''], {
    env,
    stdio: 'ignore',
  });
  try {
    for (let waited = 0; spawnSync('mountpoint', ['-q', mount]).status !== 0; waited += 50) {
      if (waited > 30_000 || mounted.exitCode !== null) throw new Error('the source cannot be mounted here');
      await delay(50);
    }
    const upload = `'${rclone}' rcat '${target}' --s3-chunk-size 64M --config ''`;
    return await seconds(async () => {
      const line = `set -o pipefail; tar -C '${mount}' -cf - . | zstd -q -T2 | ${upload}`;
      const child = spawn('bash', ['-c', line], { env, stdio: ['ignore', 'ignore', 'inherit'] });
      const code = await new Promise((resolve) => child.once('close', resolve));
      if (code !== 0) throw new Error(`the archive by hand ended with code ${String(code)}`);
    });
  } finally {
    spawnSync('fusermount3', ['-u', mount]);
    if (mounted.exitCode === null) mounted.kill('SIGTERM');
    rmSync(join(mount, '..'), { recursive: true, force: true });
  }
}

function remote(name: string, access: BucketAccess): Record<string, string> {
  return {
    [`RCLONE_CONFIG_${name}_TYPE`]: 's3',
    [`RCLONE_CONFIG_${name}_PROVIDER`]: access.provider,
    [`RCLONE_CONFIG_${name}_ENDPOINT`]: access.endpoint,
    [`RCLONE_CONFIG_${name}_ACCESS_KEY_ID`]: access.accessKey,
    [`RCLONE_CONFIG_${name}_SECRET_ACCESS_KEY`]: access.secretKey,
  };
}

/** The worker and everything it starts, at the moment when they hold most. */
async function peak(options: BenchOptions, name: string, job: JobFields): Promise<Figure> {
  const { scale, say } = options;
  await build(options);
  const fill = (folder: string): void => writeLarge(folder, PEAK_FILES, Math.ceil(PEAK_BYTES * scale));
  return await withServers({ distant: false, built: true, fill }, async (_source, _destination, installation) => {
    let most = 0;
    const timer = setInterval(() => (most = Math.max(most, installation.residentBytes())), 100);
    try {
      const took = await archiveRun(installation, job);
      say(`archive of ${PEAK_FILES} files: ${took.toFixed(1)} s`);
    } finally {
      clearInterval(timer);
    }
    return figureOf(name, [most / 1e6], { unit: 'MB', limit: 300, better: 'lower' });
  });
}

/** From opening the manifest until the file lies in a folder of this machine, looked at again. */
async function singleFile(options: BenchOptions): Promise<Figure> {
  const { scale, say } = options;
  const few = 1_000;
  const fill = (folder: string): void => {
    writeTree(folder, few, mixedSize);
    writeLarge(folder, LARGE_FILES, Math.ceil(LARGE_BYTES * scale));
  };
  return await withServers({ distant: false, fill }, async (_source, destination, installation) => {
    const job = await installation.newJob({ backup_mode: 'archive' });
    await installation.run(job);
    const times: number[] = [];
    for (let attempt = 0; attempt <= (options.pairs ?? 9); attempt += 1) {
      const path = `folder-${String(attempt).padStart(3, '0')}/file-${String(attempt * 100 + 50).padStart(5, '0')}.bin`;
      times.push(await seconds(async () => await restoreOne(installation, job, destination.access, path)));
    }
    say(`one file: ${times.map((time) => time.toFixed(2)).join(' ')} s`);
    return figureOf('archive_single_file_seconds', times, { unit: 's', limit: 1, better: 'lower' });
  });
}

async function restoreOne(
  installation: Installation,
  job: Awaited<ReturnType<Installation['newJob']>>,
  access: BucketAccess,
  path: string,
): Promise<void> {
  const base = benchFolder();
  const signal = new AbortController().signal;
  const point = { ...(await installation.newestPoint(job, access, signal)), signal };
  const copies = await openCopySource({ ...point, mode: 'archive', access });
  try {
    const [rclone] = toolVersions(['rclone']);
    const folder = join(base, 'restored');
    const bulk = rcloneBulk({
      binary: { path: toolPath('rclone'), version: rclone?.version ?? '' },
      ...{ from: copies.from, cipher: copies.cipher, inOnePiece: copies.inOnePiece },
      ...{ to: { folder }, workFolder: base, transfers: 4, bandwidth: 0 },
    });
    const space = { folder: base, memoryItems: DEFAULT_MEMORY_ITEMS };
    const report = await restorePoint({ ...point, paths: [path], target: new LocalTarget({ folder, bulk }), space });
    requireExact(report);
    if (report.exact !== 1) throw new Error('the file did not come back');
  } finally {
    await copies.close();
    rmSync(base, { recursive: true, force: true });
  }
}
