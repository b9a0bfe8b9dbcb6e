import { join } from 'node:path';
import { openDatabase, type Database } from '../../database/connect.ts';
import { startClock } from '../../clock.ts';
import { BackupError } from '../../errors/backup-error.ts';
import { createCloudBackup, type CloudBackup } from '../../index.ts';
import type { ClientServices } from '../../jobs/client.ts';
import { createLog } from '../../log.ts';
import { loadSecrets as deriveSecrets } from '../../security/envelope.ts';
import type { Child } from './children.ts';
import { asDataFolderError, openDataFolder, type DataFolder } from './data-folder.ts';
import { ensureDemoJobs, type DemoJobs } from './jobs.ts';
import { createMailbox } from './mailbox.ts';
import {
  clientIdOf,
  prepareDatabase,
  prepareFiles,
  restoreTo,
  shopFolder,
  startServers,
  startWorker,
  type DemoServers,
} from './parts.ts';
import { createDemoHost, createDemoPortal, MOUNTED_AT } from './portal.ts';
import { loadSecrets, type DemoSecrets } from './secrets.ts';
import { ADA, writeSetting } from './seed.ts';
import { listen, type WebServer } from './web.ts';
import { writeWorkerConfig } from './worker-config.ts';

export interface DemoOptions {
  readonly dataDir: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** One line about what is being done. */
  readonly say: (line: string) => void;
  /** Ends the start, too. */
  readonly signal: AbortSignal;
  /** Servers on loopback, `127.0.0.1:8080`, that may be sources beside the demo's own. */
  readonly alsoAllowed?: readonly string[];
}

/** A running demo. */
export interface Demo {
  /** Where our pages are mounted in the portal. */
  readonly address: string;
  readonly portal: string;
  readonly folder: DataFolder;
  readonly database: Database;
  readonly secrets: DemoSecrets;
  /** The first customer, as the pages serve it. */
  readonly client: ClientServices;
  readonly jobs: DemoJobs;
  /** Files of the S3 source. */
  readonly shopFolder: string;
  /** Restores the point of a run to a new folder. */
  restore(runId: string, target: string): Promise<{ ok: boolean; how: string }>;
  /** Rejects when a program that the demo needs has ended by itself. */
  readonly broken: Promise<never>;
  /** Ends everything that was started, in order; a second call waits for the first. */
  stop(): Promise<void>;
}

/**
 * Starts the whole demo on one data folder: portal, storage, sources and a worker, and makes what a first start needs.
 * @throws BackupError ERR_PORT_IN_USE, ERR_DATA_DIR, ERR_DATA_DIR_LOCKED, ERR_DISK_FULL, ERR_TOOL_MISSING, ERR_TOOL_WRONG
 */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  const undo = new Undo();
  try {
    return await start(options, undo);
  } catch (error) {
    await undo.run();
    throw asDataFolderError(options.dataDir, error);
  }
}

async function start(options: DemoOptions, undo: Undo): Promise<Demo> {
  const { say, signal } = options;
  const folder = undo.add(await openDataFolder(options.dataDir), (held) => held.release());
  const web = undo.add(await listen(options.port), (server) => server.close());
  const secrets = loadSecrets(folder);
  const file = folder.path('portal.sqlite');
  const database = undo.add(openDatabase({ driver: 'sqlite', filename: file }), (opened) => opened.close());
  if ((await prepareDatabase(database, secrets)).length > 0) say('Database: tables made');
  signal.throwIfAborted();

  prepareFiles(folder, say);
  signal.throwIfAborted();
  const servers = await startServers(folder, secrets, (server) => undo.add(server, (child) => child.stop()));
  say('Storage and sources: running');
  signal.throwIfAborted();

  const allowed = [...allowedHosts(servers), ...(options.alsoAllowed ?? [])];
  const backup = await startPortal({ folder, secrets, database, servers, allowed, web, undo });
  const configFile = writeWorkerConfig(folder, secrets, {
    databaseFile: file,
    storageEndpoint: endpointOf(servers),
    allowedHosts: allowed,
  });
  const worker = undo.add(startWorker(folder, secrets, configFile), (child) => child.stop(30_000));
  say('Portal and worker: running');
  signal.throwIfAborted();

  const client = backup.services.forClient(await clientIdOf(database, ADA));
  const portal = `http://127.0.0.1:${web.port}`;
  return {
    portal,
    address: portal + MOUNTED_AT,
    folder,
    database,
    secrets,
    client,
    jobs: await ensureDemoJobs(client, secrets, { s3Port: servers.source.port, sftpPort: servers.sftp.port }),
    shopFolder: shopFolder(folder),
    restore: (runId, target) => restoreTo({ folder, secrets, configFile, signal }, runId, target),
    broken: firstToEnd([worker, servers.storage, servers.source, servers.sftp], undo),
    stop: () => undo.run(),
  };
}

/** A demo is watched: mails and scheduled runs should not be waited for. */
const CLOCK = { scheduleSeconds: 5, notifySeconds: 5, retentionSeconds: 5 } as const;

interface PortalParts {
  readonly folder: DataFolder;
  readonly secrets: DemoSecrets;
  readonly database: Database;
  readonly servers: DemoServers;
  readonly allowed: string[];
  readonly web: WebServer;
  readonly undo: Undo;
}

/** Mounts our router in the demo's portal: what docs/mounting.md tells a host to do. */
async function startPortal({
  folder,
  secrets,
  database,
  servers,
  allowed,
  web,
  undo,
}: PortalParts): Promise<CloudBackup> {
  const { knex } = database;
  const mailbox = createMailbox(knex);
  const host = createDemoHost(knex, mailbox);
  await writeSetting(knex, 's3_endpoint', endpointOf(servers));
  const log = createLog({ level: 'info', file: join(folder.folder('logs'), 'portal.log'), silent: true });
  const backup = undo.add(
    await createCloudBackup({
      database,
      host,
      secrets: deriveSecrets({ env: { CLOUD_BACKUP_ENCRYPTION_KEY: secrets.encryptionKey } }),
      log,
      egressAllow: allowed,
      publicUrl: `http://127.0.0.1:${web.port}${MOUNTED_AT}`,
    }),
    (made) => made.close(),
  );
  undo.add(
    startClock({ database, host, log, defaultTimezone: Intl.DateTimeFormat().resolvedOptions().timeZone }, CLOCK),
    (clock) => clock.stop(),
  );
  web.answerWith(
    createDemoPortal({
      knex,
      host,
      mailbox,
      sessionKey: secrets.sessionKey,
      storageEndpoint: endpointOf(servers),
      backup: backup.router,
    }),
  );
  return backup;
}

function endpointOf(servers: DemoServers): string {
  return `http://127.0.0.1:${servers.storage.port}`;
}

/** The demo's own servers lie on loopback, where no customer's source may lie: they are allowed by name and port. */
function allowedHosts(servers: DemoServers): string[] {
  return [servers.source, servers.sftp].map((server) => `127.0.0.1:${server.port}`);
}

function firstToEnd(children: readonly Child[], undo: Undo): Promise<never> {
  const broken = new Promise<never>((_, reject) => {
    for (const child of children) {
      void child.ended.then((how) => {
        if (!undo.begun) {
          reject(new BackupError('ERR_TOOL_WRONG', `The ${child.name} ${how} while it was needed. ${child.tail()}`));
        }
      });
    }
  });
  // Nobody may be looking at that moment; whoever looks later still sees it.
  broken.catch(() => undefined);
  return broken;
}

/** What was started, ended in reverse order however far the start came. */
class Undo {
  readonly #steps: (() => Promise<unknown>)[] = [];
  #done: Promise<void> | null = null;

  get begun(): boolean {
    return this.#done !== null;
  }

  add<T>(value: T, step: (value: T) => Promise<unknown>): T {
    this.#steps.push(() => step(value));
    return value;
  }

  run(): Promise<void> {
    this.#done ??= this.#endAll();
    return this.#done;
  }

  async #endAll(): Promise<void> {
    for (const step of this.#steps.reverse()) {
      // What cannot be ended must not keep the rest from ending.
      await step().catch(() => undefined);
    }
  }
}
