import type { Database } from '../database/connect.ts';
import type { HostRecords } from '../host/port.ts';
import type { Logger } from '../log.ts';
import type { EgressGuard } from '../security/egress.ts';
import type { Secrets } from '../security/envelope.ts';
import type { WorkerConfig } from './config.ts';

export { macKeysOf } from '../security/mac-keys.ts';

/** What a worker process opens once, at its start, and every run of it uses. */
export interface WorkerServices {
  readonly config: WorkerConfig;
  readonly database: Database;
  /** Identity of the database, for owner markers. */
  readonly databaseIdentity: string;
  readonly records: HostRecords;
  readonly secrets: Secrets;
  readonly egress: EgressGuard;
  readonly log: Logger;
  readonly rclone: { readonly path: string; readonly version: string };
}

export function ownershipOf({ config, databaseIdentity }: Pick<WorkerServices, 'config' | 'databaseIdentity'>): {
  installation: string;
  database: string;
  acceptedDatabases: string[];
} {
  return {
    installation: config.installation.name,
    database: databaseIdentity,
    acceptedDatabases: config.installation.accepted_databases,
  };
}
