import { chmodSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { JobBucket } from '../src/backup/job-bucket.ts';
import type { PointSource } from '../src/backup/point-reader.ts';
import { toolPath } from '../src/engines/tools.ts';
import { Secrets } from '../src/security/envelope.ts';
import type { BucketAccess } from '../src/storage/port.ts';
import { packageRoot } from '../src/engines/tools.ts';
import { openS3Store } from '../src/storage/s3.ts';
import { configSchema } from '../src/worker/config.ts';
import { macKeysOf } from '../src/worker/services.ts';
import { KEY, startWorld, type WorkerProcess, type World } from '../test/integration/world.ts';
import { seconds } from './figures.ts';
import { benchFolder, type BenchServer } from './servers.ts';
import { sourceConfigOf } from './plain-rclone.ts';

export interface BenchJob {
  readonly id: string;
  readonly prefix: string;
}

export interface MeasuredRun {
  /** From the claim to the committed point. */
  readonly seconds: number;
  /** User and system time of rclone, and of all else: the worker itself and what it starts to keep rclone on a leash. */
  readonly cpu: { readonly ours: number; readonly rclone: number };
  readonly filesCopied: number;
}

/** Counted over all installations: a server that forgets no folder would show a later one what an earlier one's job had there. */
let jobs = 0;

/**
 * A whole installation with SQLite on disk and one real worker process with its default settings. The time of a run is that between
 * `started_at` and `finished_at` of its row, which the database's clock sets in milliseconds, in the transactions that claim the run and
 * commit its point. So the wait for a free worker is left out, and everything that a customer waits for after that is in it.
 */
export class Installation {
  readonly #world: World;
  readonly #worker: WorkerProcess;
  readonly #source: BenchServer;
  readonly #destination: BenchServer;
  readonly #accounts: string | null;

  private constructor(
    world: World,
    worker: WorkerProcess,
    servers: { source: BenchServer; destination: BenchServer },
    accounts: string | null,
  ) {
    this.#world = world;
    this.#worker = worker;
    this.#source = servers.source;
    this.#destination = servers.destination;
    this.#accounts = accounts;
  }

  /**
   * @param options.accounted rclone's CPU time is told apart, at the price of one more small process around each rclone
   * @param options.built the worker is that of the built package, as its memory is another than that of one which reads TypeScript
   */
  static async start(
    servers: { source: BenchServer; destination: BenchServer },
    options: { accounted?: boolean; built?: boolean } = {},
  ): Promise<Installation> {
    const world = await startWorld('sqlite');
    try {
      await world.database
        .knex('tbladdonmodules')
        .where({ setting: 's3_endpoint' })
        .update({ value: servers.destination.access.endpoint });
      await world.database.knex('s3_buckets').where({ id: world.bucketId }).update({ name: 'bucket' });
      const accounts = options.accounted ? benchFolder() : null;
      const defaults = configSchema.shape.worker.parse(undefined);
      const settings = {
        CLOUD_BACKUP_WORKER_POLL_INTERVAL_SECONDS: String(defaults.poll_interval_seconds),
        CLOUD_BACKUP_WORKER_LEASE_SECONDS: String(defaults.lease_seconds),
        CLOUD_BACKUP_WORKER_LEASE_MARGIN_SECONDS: String(defaults.lease_margin_seconds),
        ...(accounts === null ? {} : { CLOUD_BACKUP_RCLONE_BINARY_PATH: writeAccountant(accounts) }),
      };
      const worker = options.built
        ? await world.startWorker(settings, join(packageRoot(), 'dist', 'bin', 'worker.js'))
        : await world.startWorker(settings);
      return new Installation(world, worker, servers, accounts);
    } catch (error) {
      await world.stop();
      throw error;
    }
  }

  /** @param change fields of the job beyond the usual ones */
  async newJob(change: Readonly<Record<string, unknown>> = {}): Promise<BenchJob> {
    jobs += 1;
    const prefix = `job-${jobs}`;
    const id = await this.#world.createJob({
      name: prefix,
      source_config: sourceConfigOf(this.#source.access),
      dest_prefix: prefix,
      max_attempts: 1,
      ...change,
    });
    return { id, prefix };
  }

  /** A backup that must be a success. */
  async run(job: BenchJob): Promise<MeasuredRun> {
    const cpuBefore = this.#cpu();
    const { runId } = await this.#world.client.runs.start(job.id);
    const left = `${runId}`;
    // Looked for seldom: whoever asks takes CPU from the run.
    while (
      !this.#worker
        .log()
        .split('\n')
        .some((line) => line.includes('left a run') && line.includes(left))
    ) {
      if (this.#worker.child.exitCode !== null) throw new Error(`the worker ended: ${this.#worker.log()}`);
      await delay(100);
    }
    const row = (await this.#world.database.knex('s3_cloudbackup_runs').where({ uuid: runId }).first('*')) as RunRow;
    if (row.status !== 'success') throw new Error(`the run ended as ${row.status}: ${row.error_summary ?? ''}`);
    const cpu = this.#cpu();
    return {
      seconds: (epochMs(row.finished_at) - epochMs(row.started_at)) / 1000,
      cpu: { ours: cpu.ours - cpuBefore.ours, rclone: cpu.rclone - cpuBefore.rclone },
      filesCopied: Number(row.objects_transferred),
    };
  }

  /** Puts the owner marker of a job into its folder, for points that were not made by runs. */
  own(job: BenchJob): void {
    this.#execute('adopt', [job.id, '--yes']);
  }

  /** Seconds of the command that makes the database what the bucket says of one job. */
  async reindex(job: BenchJob): Promise<number> {
    return await seconds(async () => this.#execute('reindex', [job.id]));
  }

  /** Bytes that the worker and everything it has started hold in memory now. */
  residentBytes(): number {
    return residentBytesOfTree(this.#worker.pid);
  }

  #execute(name: string, args: readonly string[]): void {
    const { status, stderr } = this.#world.execute(name, args);
    if (status !== 0) throw new Error(`${name} ended with code ${String(status)}: ${stderr}`);
  }

  /** What a restore of the job's newest point starts from, by the address `access`. */
  async newestPoint(
    job: BenchJob,
    access: BucketAccess,
    signal: AbortSignal,
  ): Promise<{ source: PointSource; place: { run: string; claim: string } }> {
    const row = (await this.#world.database
      .knex('s3_cloudbackup_restore_points as p')
      .join('s3_cloudbackup_jobs as j', 'j.id', 'p.job_id')
      .where('j.uuid', job.id)
      .orderBy('p.id', 'desc')
      .first('p.run_uuid', 'p.claim_name')) as { run_uuid: string; claim_name: string };
    return {
      source: {
        bucket: new JobBucket(openS3Store(access), `${job.prefix}/`, signal),
        job: job.id,
        keys: macKeysOf(new Secrets([KEY])),
      },
      place: { run: row.run_uuid, claim: row.claim_name },
    };
  }

  /** Removes what the runs of a job left in the bucket. Later runs of it would fail. */
  async discard(job: BenchJob): Promise<void> {
    await this.#destination.discard(job.prefix);
  }

  async stop(): Promise<void> {
    await this.#world.stop();
    if (this.#accounts !== null) rmSync(this.#accounts, { recursive: true, force: true });
  }

  /** CPU seconds so far. */
  #cpu(): MeasuredRun['cpu'] {
    const { own, children } = processCpu(this.#worker.pid);
    const rclone = this.#accounts === null ? 0 : readAccounts(this.#accounts);
    return { ours: own + children - rclone, rclone };
  }
}

interface RunRow {
  readonly status: string;
  readonly error_summary: string | null;
  readonly started_at: string;
  readonly finished_at: string;
  readonly objects_transferred: number;
}

function epochMs(databaseTime: string): number {
  return Date.parse(`${databaseTime.replace(' ', 'T')}Z`);
}

/** `USER_HZ`: the unit of /proc, the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU seconds of a process, and of those of its descendants that have ended. */
function processCpu(pid: number): { own: number; children: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // Fields 14 to 17, counted behind the command name, which may hold spaces.
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 15)
    .map(Number);
  return { own: (user + system) / TICKS_PER_SECOND, children: (childUser + childSystem) / TICKS_PER_SECOND };
}

/** Of a process and all of its descendants. Pages that two of them share are counted twice. */
function residentBytesOfTree(root: number): number {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const parent = Number.isInteger(pid) ? parentOf(pid) : null;
    if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const of = (pid: number): number =>
    residentBytes(pid) + (children.get(pid) ?? []).reduce((sum, child) => sum + of(child), 0);
  return of(root);
}

/** Null: the process has ended. */
function parentOf(pid: number): number | null {
  const stat = readOrNull(`/proc/${pid}/stat`);
  return stat === null ? null : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

function residentBytes(pid: number): number {
  const status = readOrNull(`/proc/${pid}/status`) ?? '';
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** A program that runs rclone and writes down what CPU time it took. */
function writeAccountant(folder: string): string {
  const path = join(folder, 'rclone');
  const rclone = toolPath('rclone');
  writeFileSync(path, `#!/bin/bash\n'${rclone}' "$@"\ncode=$?\ntimes >> '${folder}/times'\nexit $code\n`);
  chmodSync(path, 0o755);
  return path;
}

/** bash's `times`: a line for the shell itself, a line for its children, each with user and system time as `0m1.234s`. */
function readAccounts(folder: string): number {
  const lines = readFileSync(join(folder, 'times'), 'utf8').trimEnd().split('\n');
  const times = lines.filter((_, index) => index % 2 === 1).flatMap((line) => [...line.matchAll(/(\d+)m([\d.]+)s/g)]);
  return times.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0);
}
