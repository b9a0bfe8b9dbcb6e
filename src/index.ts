import type { Router } from 'express';
import type { Knex } from 'knex';
import { v7 } from 'uuid';
import { endpoints } from '../api/index.ts';
import { DownloadSlots } from './browse/download-slots.ts';
import { PointLibrary } from './browse/library.ts';
import { adminServices } from './admin/create.ts';
import { openDatabase, useDatabase, type Database, type DatabaseSettings } from './database/connect.ts';
import { requireMigrated } from './database/migrate.ts';
import type { HostPort } from './host/port.ts';
import { pages } from './http/pages/index.ts';
import type { Portal } from './http/portal.ts';
import { portalRouter } from './http/router.ts';
import { createViews } from './http/views.ts';
import { clientServices } from './jobs/create-client.ts';
import type { ServiceParts } from './jobs/parts.ts';
import { createLog, type Logger } from './log.ts';
import { databaseMistakes, invalidOptions, parseOptions, type PortalOptionsInput } from './options.ts';
import { createEgressGuard, type Resolver } from './security/egress.ts';
import { loadSecrets, type Secrets } from './security/envelope.ts';
import { readHealth, type Services } from './services.ts';
import { cloudHttp } from './sources/oauth/https.ts';
import { openS3Store } from './storage/s3.ts';

export type { Database, DatabaseSettings } from './database/connect.ts';
export type {
  Bucket,
  ClientRecord,
  EncryptedKeyPair,
  HostPort,
  HostRecords,
  Identity,
  NavigationLink,
  ServiceState,
  StorageAccount,
  Theme,
} from './host/port.ts';
export type { AdminServices } from './admin/services.ts';
export type { ClientServices } from './jobs/client.ts';
export type { PortalOptionsInput } from './options.ts';
export type { Health, Services } from './services.ts';
export type { ClockOptions, ClockParts, RunningClock } from './clock.ts';
export { startClock } from './clock.ts';
export { BackupError, isBackupError } from './errors/backup-error.ts';
export { billingTables } from './host/billing-tables.ts';
export { migrateUp } from './database/migrate.ts';
export { openDatabase, useDatabase } from './database/connect.ts';
export { loadSecrets, Secrets } from './security/envelope.ts';
export { createLog } from './log.ts';

export interface CloudBackupOptions extends PortalOptionsInput {
  /** A knex instance of the host (it stays the host's to close), settings of a pool of our own, or a `Database`. */
  readonly database: Knex | DatabaseSettings | Database;
  /** What the package needs of the billing system: src/host/port.ts. */
  readonly host: HostPort;
  /** Default: from the environment, then from the host's module settings. */
  readonly secrets?: Secrets;
  /** Default: JSON lines on stderr. */
  readonly log?: Logger;
  /** Environment that options and secrets are read from. Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Resolves the names of sources for the egress check. Default: the system's resolver. */
  readonly resolve?: Resolver;
  /** Opens a client's bucket to look into restore points. Default: as S3, where the module settings say. */
  readonly openStore?: ServiceParts['openStore'];
  /** Epoch milliseconds. */
  readonly clock?: () => number;
}

export interface CloudBackup {
  /** Clients' pages and API at its root, admins' below `/admin`: `app.use('/backup', backup.router)`. */
  readonly router: Router;
  /** Only what clients use, only what admins use (pages at its root), only what agents use: to be mounted in different places. */
  readonly clientRouter: Router;
  readonly adminRouter: Router;
  readonly agentRouter: Router;
  /** The same without HTTP, for the host's own code. */
  readonly services: Services;
  /** Closes the pool if it is ours. */
  close(): Promise<void>;
}

/** Somebody waits for the page: storage that does not answer is told soon. */
const HASTY = { attempts: 2, connectTimeoutMs: 5_000, idleTimeoutMs: 20_000 };

/**
 * The backup portal, to be mounted in the Express 5 app of a billing portal.
 * @throws BackupError `ERR_CONFIG_INVALID` (every mistake at once), `ERR_NO_ENCRYPTION_KEY`, `ERR_SCHEMA_OLD`
 */
export async function createCloudBackup(given: CloudBackupOptions): Promise<CloudBackup> {
  const {
    database: where,
    host,
    secrets: ownSecrets,
    log: ownLog,
    env = process.env,
    resolve,
    openStore = (access, { patient }) => openS3Store(access, patient ? {} : HASTY),
    clock,
    ...plain
  } = given;
  const mistakes = [...missingParts(given), ...mistakesIn(() => parseOptions(plain, env))];
  if (mistakes.length > 0) throw invalidOptions(mistakes);
  const options = parseOptions(plain, env);
  const database = databaseOf(where);
  try {
    await requireMigrated(database);
    const secrets = ownSecrets ?? loadSecrets({ env, settings: await host.settings() });
    const parts: ServiceParts = {
      database,
      host,
      secrets,
      egress: createEgressGuard({ allow: options.egressAllow, ...(resolve === undefined ? {} : { resolve }) }),
      timezone: options.timezone,
      library: new PointLibrary(options.browseCacheBytes),
      downloads: new DownloadSlots(options.downloadsAtOnce),
      cloud: { http: cloudHttp(env), env, publicUrl: options.publicUrl ?? null },
      openStore,
      ...(host.confirmPassword && { confirmPassword: host.confirmPassword.bind(host) }),
      newId: v7,
      clock: clock ?? Date.now,
    };
    const services: Services = {
      forClient: (clientId) => clientServices(parts, clientId),
      forAdmin: (admin) => adminServices(parts, admin),
      health: async () => await readHealth(database, parts.clock()),
    };
    const portal: Portal = {
      host,
      secrets,
      services,
      options,
      log: ownLog ?? createLog({ level: 'info' }),
      views: createViews(),
      newId: parts.newId,
      clock: parts.clock,
    };
    const router = (callers: readonly ('client' | 'admin')[], adminPath: string): Router =>
      portalRouter(portal, { endpoints, pages, callers, adminPath });
    return {
      router: router(['client', 'admin'], '/admin'),
      clientRouter: router(['client'], '/admin'),
      adminRouter: router(['admin'], ''),
      agentRouter: router([], ''),
      services,
      close: async () => await database.close(),
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

function missingParts(given: Partial<CloudBackupOptions>): string[] {
  const { database, host } = given;
  const mistakes = databaseMistakes(database);
  if (typeof host?.identify !== 'function') mistakes.push('host: must be a host port (see docs/mounting.md)');
  return mistakes;
}

function mistakesIn(parse: () => unknown): string[] {
  try {
    parse();
    return [];
  } catch (error) {
    const details = (error as { details?: { mistakes?: unknown } }).details;
    if (!Array.isArray(details?.mistakes)) throw error;
    return details.mistakes.map(String);
  }
}

/** A knex instance is a function; a `Database` has one; everything else is settings. */
function databaseOf(given: CloudBackupOptions['database']): Database {
  if (typeof given === 'function') return useDatabase(given);
  if ('knex' in given) return { ...given, close: () => Promise.resolve() };
  return openDatabase(given);
}
