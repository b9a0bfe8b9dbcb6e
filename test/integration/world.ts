import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { v7 } from 'uuid';
import { DownloadSlots } from '../../src/browse/download-slots.ts';
import { PointLibrary } from '../../src/browse/library.ts';
import type { Database, DatabaseSettings, Dialect } from '../../src/database/connect.ts';
import { billingRecords } from '../../src/host/billing-tables.ts';
import { createHostTables } from '../../src/host/demo/tables.ts';
import type { ClientServices } from '../../src/jobs/client.ts';
import { clientServices } from '../../src/jobs/create-client.ts';
import { DeletableKeys } from '../../src/layout/deletable.ts';
import { NewJob } from '../../src/protocol/job-input.ts';
import type { RunView } from '../../src/protocol/run.ts';
import { createEgressGuard } from '../../src/security/egress.ts';
import { Secrets } from '../../src/security/envelope.ts';
import { sealLegacy } from '../../src/security/legacy.ts';
import type { BucketAccess } from '../../src/storage/port.ts';
import { cloudHttp } from '../../src/sources/oauth/https.ts';
import { openS3Store } from '../../src/storage/s3.ts';
import { openTestDatabase, type TestDatabase } from '../database/open.ts';
import { startRcloneS3 } from '../servers/rclone-serve.ts';

export const KEY = 'integration test key';
const PRODUCT = 7;

export interface World {
  readonly test: TestDatabase;
  readonly database: Database;
  readonly client: ClientServices;
  /** A second customer, with a bucket of its own. */
  readonly stranger: ClientServices;
  readonly clientId: number;
  readonly bucketId: number;
  readonly s3: Awaited<ReturnType<typeof startRcloneS3>>;
  /** Folder whose sub-folders are the buckets of the S3 server: `backups` (destination), `source`. */
  readonly folder: string;
  /** Writes files into a bucket; a value of null deletes nothing and makes nothing. */
  writeFiles(bucket: string, files: Readonly<Record<string, string | Buffer>>): void;
  /**
   * Deletes one object of a job's prefix (which ends in a slash), through the server: it goes on listing what it took in itself when that
   * is taken from its folder behind its back.
   */
  loseObject(prefix: string, key: string): Promise<void>;
  createJob(change?: Readonly<Record<string, unknown>>): Promise<string>;
  /** @param program another one than the source's, such as that of the built package */
  startWorker(environment?: Readonly<Record<string, string>>, program?: string): Promise<WorkerProcess>;
  /** Every worker process that was started. */
  workers(): readonly WorkerProcess[];
  /** Where the workers keep the folders of their runs. */
  readonly runFolder: string;
  /** Starts a backup and waits for its end. */
  backUp(jobId: string, options?: { allowEmpty?: boolean }): Promise<RunView>;
  /** Runs one of bin/ with the worker's configuration, to its end. */
  execute(
    name: string,
    args: readonly string[],
    environment?: Readonly<Record<string, string>>,
  ): { status: number | null; stdout: string; stderr: string };
  waitForRun(runId: string, until?: (run: RunView) => boolean): Promise<RunView>;
  stop(): Promise<void>;
}

export interface WorkerProcess {
  readonly pid: number;
  readonly child: ChildProcess;
  log(): string;
  kill(signal: NodeJS.Signals): void;
  ended(): Promise<number | null>;
}

/** Portal services, database, S3 server (another world's, where one is given) and worker processes, as in production but small. */
export async function startWorld(
  dialect: Dialect = 'sqlite',
  options: { workerSettings?: DatabaseSettings; s3?: World['s3'] } = {},
): Promise<World> {
  const { test, release } = await openTestDatabase(dialect);
  const { database } = test;
  const base = mkdtempSync(join(tmpdir(), 'e3-world-'));
  // Files that a test writes straight into the folder are to be seen soon (0s makes this server read its folders without end).
  const s3 = options.s3 ?? (await startRcloneS3({ flags: ['--dir-cache-time', '100ms'] }));
  for (const bucket of ['backups', 'source', 'strangers']) mkdirSync(join(s3.folder, bucket), { recursive: true });
  const access = s3.access('backups');
  await createHostTables(database.knex);
  const client = await insertClient(database, 'ada', 'backups', access);
  const stranger = await insertClient(database, 'grace', 'strangers', access);
  for (const [setting, value] of [
    ['s3_endpoint', s3.endpoint],
    ['s3_region', 'us-east-1'],
    ['s3_provider', 'Rclone'],
    ['cloudbackup_product_ids', String(PRODUCT)],
  ] as const) {
    await database.knex('tbladdonmodules').insert({ module: 'cloudstorage', setting, value });
  }
  const parts = {
    database,
    host: billingRecords({ knex: database.knex }),
    secrets: new Secrets([KEY]),
    egress: createEgressGuard({ allow: ['127.0.0.1'] }),
    timezone: 'UTC',
    library: new PointLibrary(16 * 1024 * 1024),
    downloads: new DownloadSlots(3),
    cloud: { http: cloudHttp(), env: process.env, publicUrl: null },
    openStore: (access: BucketAccess) => openS3Store(access),
    newId: () => v7(),
    clock: Date.now,
  };
  const workerSettings = options.workerSettings ?? grantWorker(test);
  const services = clientServices(parts, client.clientId);
  const workers: WorkerProcess[] = [];

  async function waitForRun(runId: string, until: (run: RunView) => boolean = isOver): Promise<RunView> {
    for (const end = Date.now() + 90_000; Date.now() < end; await delay(50)) {
      const run = await services.runs.get(runId).catch(() => null);
      if (run !== null && until(run)) return run;
    }
    throw new Error(
      `the run did not get there; workers said:\n${workers.map((worker) => worker.log()).join('\n---\n')}`,
    );
  }

  return {
    test,
    database,
    client: services,
    stranger: clientServices(parts, stranger.clientId),
    clientId: client.clientId,
    bucketId: client.bucketId,
    s3,
    folder: s3.folder,
    writeFiles(bucket, files) {
      for (const [path, content] of Object.entries(files)) {
        const file = join(s3.folder, bucket, path);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, content);
      }
    },
    async loseObject(prefix, key) {
      await openS3Store(access).delete([new DeletableKeys(prefix).of(key)]);
    },
    async createJob(change = {}) {
      const { jobId } = await services.jobs.create(
        NewJob.parse({
          name: 'Website',
          source_type: 's3_compatible',
          source_config: {
            endpoint: s3.endpoint,
            region: 'us-east-1',
            bucket: 'source',
            access_key: access.accessKey,
            secret_key: access.secretKey,
            provider: 'Rclone',
          },
          source_path: '',
          dest_bucket_id: client.bucketId,
          schedule_type: 'manual',
          max_attempts: 2,
          ...change,
        }),
      );
      return jobId;
    },
    async startWorker(environment = {}, program = executable('worker')) {
      const worker = spawnWorker(program, workerEnvironment(workerSettings, base, environment));
      workers.push(worker);
      for (const end = Date.now() + 30_000; !worker.log().includes('worker started'); await delay(50)) {
        if (Date.now() > end || worker.child.exitCode !== null)
          throw new Error(`the worker did not start:\n${worker.log()}`);
      }
      return worker;
    },
    async backUp(jobId, given = {}) {
      const { runId } = await services.runs.start(jobId, given);
      return await waitForRun(runId);
    },
    execute(name, args, environment = {}) {
      const { status, stdout, stderr } = spawnSync(process.execPath, [executable(name), ...args], {
        env: workerEnvironment(workerSettings, base, environment),
        encoding: 'utf8',
      });
      return { status, stdout, stderr };
    },
    waitForRun,
    workers: () => workers,
    runFolder: join(base, 'runs'),
    async stop() {
      for (const worker of workers)
        if (worker.child.exitCode === null && worker.child.signalCode === null) worker.kill('SIGKILL');
      await Promise.all(workers.map(async (worker) => await worker.ended()));
      if (options.s3 === undefined) await s3.stop();
      await release();
      rmSync(base, { recursive: true, force: true });
    },
  };
}

/** Makes the worker's database user with the rights of deploy/mariadb-grants.sql and nothing else. SQLite has no users. */
function grantWorker(test: TestDatabase): DatabaseSettings {
  if (test.server === null || test.settings.driver !== 'mysql') return test.settings;
  const statements = readFileSync(new URL('../../deploy/mariadb-grants.sql', import.meta.url), 'utf8');
  const named = {
    '<user>': 'e3worker',
    '<worker host>': '%',
    '<password>': 'worker-secret',
    '<database>': test.settings.database,
  };
  test.server.admin(
    Object.entries(named).reduce((sql, [placeholder, value]) => sql.replaceAll(placeholder, value), statements),
  );
  return { ...test.settings, username: 'e3worker', password: 'worker-secret' };
}

function isOver(run: RunView): boolean {
  return ['success', 'warning', 'failed', 'cancelled'].includes(run.status);
}

async function insertClient(
  database: Database,
  name: string,
  bucket: string,
  access: { accessKey: string; secretKey: string },
): Promise<{ clientId: number; bucketId: number }> {
  const insert = async (table: string, row: Record<string, unknown>): Promise<number> =>
    Number(((await database.knex(table).insert(row)) as number[])[0]);
  const clientId = await insert('tblclients', { email: `${name}@example.test`, firstname: name, lastname: 'Example' });
  const userId = await insert('s3_users', { name, username: name, ceph_uid: name });
  await insert('tblhosting', {
    userid: clientId,
    packageid: PRODUCT,
    username: name,
    domainstatus: 'Active',
    disklimit: 0,
  });
  await insert('s3_user_access_keys', {
    user_id: userId,
    access_key: sealLegacy(access.accessKey, KEY, randomBytes(16)),
    secret_key: sealLegacy(access.secretKey, KEY, randomBytes(16)),
    access_key_hint: '',
  });
  return { clientId, bucketId: await insert('s3_buckets', { user_id: userId, name: bucket }) };
}

function executable(name: string): string {
  return fileURLToPath(new URL(`../../bin/${name}.js`, import.meta.url));
}

/** Leases are short, so that tests need not wait for minutes. */
function workerEnvironment(
  settings: DatabaseSettings,
  base: string,
  environment: Readonly<Record<string, string>>,
): Record<string, string> {
  const database: Record<string, string> =
    settings.driver === 'sqlite'
      ? { CLOUD_BACKUP_DATABASE_DRIVER: 'sqlite', CLOUD_BACKUP_DATABASE_FILENAME: settings.filename }
      : {
          CLOUD_BACKUP_DATABASE_HOST: settings.host ?? '127.0.0.1',
          CLOUD_BACKUP_DATABASE_PORT: String(settings.port ?? 3306),
          CLOUD_BACKUP_DATABASE_DATABASE: settings.database,
          CLOUD_BACKUP_DATABASE_USERNAME: settings.username,
          CLOUD_BACKUP_DATABASE_PASSWORD: settings.password,
          CLOUD_BACKUP_HOST_SETTINGS_TABLE: 'e3_cloudbackup_worker_settings',
        };
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: base,
    CLOUD_BACKUP_ENCRYPTION_KEY: KEY,
    CLOUD_BACKUP_WORKER_POLL_INTERVAL_SECONDS: '0.2',
    CLOUD_BACKUP_WORKER_LEASE_SECONDS: '3',
    CLOUD_BACKUP_WORKER_LEASE_MARGIN_SECONDS: '1',
    CLOUD_BACKUP_RCLONE_RUN_DIR: join(base, 'runs'),
    CLOUD_BACKUP_INSTALLATION_NAME: 'integration',
    ...MEMORY_SETTINGS,
    CLOUD_BACKUP_EGRESS_ALLOW: '127.0.0.1',
    ...database,
    ...environment,
  };
}

/** As in deploy/e3-cloudbackup-worker.service. */
export const MEMORY_SETTINGS = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '262144' };
export const NODE_FLAGS = ['--max-semi-space-size=8'];

/** A real worker process. */
function spawnWorker(program: string, env: Record<string, string>): WorkerProcess {
  const child = spawn(process.execPath, [...NODE_FLAGS, program], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  return {
    pid: child.pid ?? 0,
    child,
    log: () => log,
    kill: (signal) => void child.kill(signal),
    ended: async () => await ended,
  };
}
