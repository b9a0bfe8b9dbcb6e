import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { copyAllCommand } from '../src/engines/rclone/engine.ts';
import { toolPath } from '../src/engines/tools.ts';
import { parseSource, remoteOf } from '../src/sources/registry.ts';
import type { BucketAccess } from '../src/storage/port.ts';
import { configSchema } from '../src/worker/config.ts';
import { startSshd, type SshServer } from '../test/servers/sshd.ts';
import { figureOf, interleave, seconds, type Bench, type BenchOptions, type Figure } from './figures.ts';
import { Installation } from './installation.ts';
import { sourceConfigOf } from './plain-rclone.ts';
import { benchFolder, startProxy, startServer, type BenchServer } from './servers.ts';
import { mixedSize, writeTree } from './trees.ts';

const FILES = 10_000;
const LARGE_FILES = 20;
const LARGE_BYTES = 1024 ** 3;
/** In each direction, so that an answer takes twice this. */
const DELAY_MS = 10;
/** Buffers are full after a few seconds of large files, and stay so: longer runs show nothing more. */
const LARGE_MS = 40_000;

/** Sources that are no buckets: an SFTP server over a distance, and what rclone holds in memory there and with large files. */
export const sourcesBench: Bench = {
  figures: ['sftp_speedup', 'rclone_peak_mb'],
  async run(options) {
    const figures: Figure[] = [];
    const far = await FarSftp.start(Math.ceil(FILES * options.scale));
    try {
      if (options.wanted('sftp_speedup')) figures.push(await far.speedup(options));
      if (options.wanted('rclone_peak_mb')) figures.push(await peak(options, far));
      return figures;
    } finally {
      await far.stop();
    }
  },
};

type Proxy = Awaited<ReturnType<typeof startProxy>>;

/** Many small files on OpenSSH, and a bucket, both behind a delay. */
class FarSftp {
  readonly #folder: string;
  readonly #sshd: SshServer;
  readonly #proxy: Proxy;
  readonly destination: BenchServer;

  private constructor(folder: string, sshd: SshServer, proxy: Proxy, destination: BenchServer) {
    this.#folder = folder;
    this.#sshd = sshd;
    this.#proxy = proxy;
    this.destination = destination;
  }

  static async start(files: number): Promise<FarSftp> {
    const folder = benchFolder();
    writeTree(folder, files, mixedSize);
    const sshd = await startSshd();
    const proxy = await startProxy(String(sshd.port));
    const destination = await startServer({ distant: true });
    const set = once(proxy.child, 'message');
    proxy.child.send({ delayMs: DELAY_MS });
    await set;
    await destination.setDelay(DELAY_MS);
    return new FarSftp(folder, sshd, proxy, destination);
  }

  get config(): Record<string, unknown> {
    const { user, privateKey } = this.#sshd;
    return { host: '127.0.0.1', port: this.#proxy.port, user, private_key: privateKey };
  }

  async speedup(options: BenchOptions): Promise<Figure> {
    const installation = await Installation.start({ source: this.destination, destination: this.destination });
    const change = { source_type: 'sftp', source_config: this.config, source_path: this.#folder };
    let synced = 0;
    try {
      const { a, b } = await interleave(
        options,
        'first run from SFTP',
        async () => {
          const job = await installation.newJob(change);
          const { seconds: took } = await installation.run(job);
          await installation.discard(job);
          options.say(`our run: ${took.toFixed(1)} s`);
          return took;
        },
        async () => {
          synced += 1;
          const took = await this.#sync(`synced-${synced}`);
          await this.destination.discard(`synced-${synced}`);
          options.say(`rclone sync: ${took.toFixed(1)} s`);
          return took;
        },
      );
      const ratios = b.map((sync, pair) => sync / (a[pair] ?? NaN));
      return figureOf('sftp_speedup', ratios, { unit: '× rclone sync', limit: 4, better: 'higher' });
    } finally {
      await installation.stop();
    }
  }

  /** The very call of a run, whole. */
  async peakMb(): Promise<number> {
    const definition = remoteOf(parseSource({ type: 'sftp', config: this.config, path: this.#folder }));
    const hostKey = this.#sshd.hostKeys[0] ?? '';
    const peakMb = await peakOf({ source: definition, hostKey, destination: this.destination.access }, Infinity);
    await this.destination.discard('peak');
    return peakMb;
  }

  async stop(): Promise<void> {
    this.#proxy.child.disconnect();
    await Promise.all([this.#sshd.stop(), this.destination.stop()]);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** As somebody would call it who sets no flag. */
  async #sync(target: string): Promise<number> {
    const { endpoint, accessKey, secretKey, bucket } = this.destination.access;
    const { user, privateKey } = this.#sshd;
    const env = {
      PATH: process.env['PATH'],
      RCLONE_CONFIG_SRC_TYPE: 'sftp',
      RCLONE_CONFIG_SRC_HOST: '127.0.0.1',
      RCLONE_CONFIG_SRC_PORT: String(this.#proxy.port),
      RCLONE_CONFIG_SRC_USER: user,
      RCLONE_CONFIG_SRC_KEY_PEM: privateKey.trim().replaceAll('\n', '\\n'),
      RCLONE_CONFIG_DST_TYPE: 's3',
      RCLONE_CONFIG_DST_PROVIDER: 'Other',
      RCLONE_CONFIG_DST_ENDPOINT: endpoint,
      RCLONE_CONFIG_DST_ACCESS_KEY_ID: accessKey,
      RCLONE_CONFIG_DST_SECRET_ACCESS_KEY: secretKey,
    };
    return await seconds(async () => {
      const args = ['sync', `SRC:${this.#folder}`, `DST:${bucket}/${target}`, '--config', ''];
      const child = spawn(toolPath('rclone'), args, { stdio: 'ignore', detached: true, env });
      const [code] = (await once(child, 'exit')) as [number | null];
      if (code !== 0) throw new Error(`rclone sync ended with code ${String(code)}`);
    });
  }
}

/** The larger one of both: many small files from SFTP, and some large ones from S3 into a bucket that keeps nothing. */
async function peak(options: BenchOptions, far: FarSftp): Promise<Figure> {
  const source = await startServer({
    // It would read all of them before it listed one.
    flags: ['--etag-hash', ''],
    fill(folder) {
      mkdirSync(join(folder, 'large'));
      for (let index = 0; index < LARGE_FILES; index += 1) {
        const file = openSync(join(folder, 'large', `${index}.bin`), 'w');
        ftruncateSync(file, LARGE_BYTES);
        closeSync(file);
      }
    },
  });
  const sink = fork(fileURLToPath(new URL('./sink.process.ts', import.meta.url)));
  try {
    const [{ port }] = (await once(sink, 'message')) as [{ port: number }];
    const destination = { ...source.near, endpoint: `http://127.0.0.1:${port}`, provider: 'Other' };
    const definition = remoteOf(
      parseSource({ type: 's3_compatible', config: sourceConfigOf(source.near), path: 'large' }),
    );
    const large = await peakOf({ source: definition, hostKey: null, destination }, LARGE_MS);
    const small = await far.peakMb();
    options.say(`rclone's peak: ${small.toFixed(0)} MB with small files, ${large.toFixed(0)} MB with large ones`);
    return figureOf('rclone_peak_mb', [Math.max(small, large)], { unit: 'MB', limit: 512, better: 'lower' });
  } finally {
    sink.disconnect();
    await source.stop();
  }
}

/** Most megabytes that rclone has held in memory, until it ends or for so long. */
async function peakOf(
  ends: Pick<Parameters<typeof copyAllCommand>[0], 'source' | 'hostKey'> & { destination: BucketAccess },
  limitMs: number,
): Promise<number> {
  const { transfers, stats_interval: statsSeconds, memory_mb: memoryMb } = configSchema.shape.rclone.parse(undefined);
  const { args, env } = copyAllCommand({ ...ends, transfers, memoryMb, statsSeconds, bandwidth: 0 }, 'peak');
  const child = spawn(toolPath('rclone'), args, {
    stdio: 'ignore',
    detached: true,
    env: { PATH: process.env['PATH'], ...env },
  });
  const endsAt = performance.now() + limitMs;
  let peakKb = 0;
  while (child.exitCode === null && child.signalCode === null && performance.now() < endsAt) {
    peakKb = Math.max(peakKb, highWater(child.pid ?? 0));
    await delay(50);
  }
  if (child.exitCode !== null && child.exitCode !== 0) throw new Error(`rclone ended with code ${child.exitCode}`);
  child.kill('SIGKILL');
  return peakKb / 1000;
}

/** In units of 1,024 bytes; 0 when it is gone. */
function highWater(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
