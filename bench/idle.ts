import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../src/engines/tools.ts';
import { KEY, MEMORY_SETTINGS, NODE_FLAGS, startWorld, type World } from '../test/integration/world.ts';
import type { Bench, BenchOptions, Figure } from './figures.ts';
import { benchFolder } from './servers.ts';

const IDLE_MS = 60_000;

/**
 * Memory of the processes of the built package that have nothing to do: the worker with an empty queue, and a portal that has shown
 * each of a customer's pages. One measurement each, for nothing else is going on in them.
 */
export const idleBench: Bench = {
  figures: ['worker_idle_mb', 'portal_idle_mb'],
  async run(options) {
    await build(options);
    const world = await startWorld('sqlite');
    const folder = benchFolder();
    const children: ChildProcess[] = [];
    const started = (child: ChildProcess): ChildProcess => {
      children.push(child);
      return child;
    };
    try {
      const pages = await makePages(world);
      const { settings } = world.test;
      if (settings.driver !== 'sqlite') throw new Error('the world was to have a SQLite file');
      const worker = options.wanted('worker_idle_mb') ? started(spawnWorker(settings.filename, folder)) : null;
      const portal = options.wanted('portal_idle_mb') ? started(forkPortal(settings.filename, world.clientId)) : null;
      if (worker) await says(worker, 'worker started');
      if (portal) await showPages(portal, pages);
      options.say(`idle: waiting ${(IDLE_MS * options.scale) / 1000} s`);
      await delay(IDLE_MS * options.scale);
      return [
        ...(worker ? [figure('worker_idle_mb', 120, worker)] : []),
        ...(portal ? [figure('portal_idle_mb', 150, portal)] : []),
      ];
    } finally {
      for (const child of children) child.kill('SIGKILL');
      await world.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

function figure(name: string, limit: number, child: ChildProcess): Figure {
  if (child.exitCode !== null) throw new Error(`${name}: the process has ended`);
  return { name, value: residentBytes(child.pid ?? 0) / 1e6, unit: 'MB', limit, better: 'lower' };
}

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** Builds the package, whose processes are smaller than those that read TypeScript. */
export async function build({ say }: BenchOptions): Promise<void> {
  say('building the package');
  const child = spawn(process.execPath, [join(packageRoot(), 'tools', 'build.js')], { stdio: ['ignore', 2, 2] });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error('the package cannot be built');
}

function spawnWorker(filename: string, folder: string): ChildProcess {
  return spawn(process.execPath, [...NODE_FLAGS, join(packageRoot(), 'dist', 'bin', 'worker.js')], {
    env: {
      ...MEMORY_SETTINGS,
      PATH: process.env['PATH'],
      HOME: folder,
      CLOUD_BACKUP_ENCRYPTION_KEY: KEY,
      CLOUD_BACKUP_DATABASE_DRIVER: 'sqlite',
      CLOUD_BACKUP_DATABASE_FILENAME: filename,
      CLOUD_BACKUP_RCLONE_RUN_DIR: folder,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function forkPortal(filename: string, clientId: number): ChildProcess {
  return fork(fileURLToPath(new URL('./portal.process.js', import.meta.url)), [filename, String(clientId)], {
    env: { PATH: process.env['PATH'], CLOUD_BACKUP_ENCRYPTION_KEY: KEY },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
}

/** Waits until a process has said something, and reads on, so that it can always speak. */
async function says(child: ChildProcess, words: string): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        said = (said + chunk.toString()).slice(-10_000);
        if (said.includes(words)) resolve();
      });
    child.once('exit', () => reject(new Error(`the process ended: ${said}`)));
  });
}

/** A job and a run that is over: nothing that the worker would take. */
async function makePages(world: World): Promise<string[]> {
  const job = await world.createJob();
  const { runId } = await world.client.runs.start(job);
  await world.client.runs.cancel(runId);
  return ['/jobs', '/jobs/new', `/jobs/${job}`, `/jobs/${job}/edit`, '/runs', `/runs/${runId}`, '/settings'];
}

async function showPages(portal: ChildProcess, pages: readonly string[]): Promise<void> {
  const [{ port }] = (await Promise.race([
    once(portal, 'message'),
    once(portal, 'exit').then(() => Promise.reject(new Error('the portal ended'))),
  ])) as [{ port: number }];
  for (const page of pages) {
    const answer = await fetch(`http://127.0.0.1:${port}/backup${page}`);
    await answer.text();
    if (answer.status !== 200) throw new Error(`${page} was answered with ${answer.status}`);
  }
}
