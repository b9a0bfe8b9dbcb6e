import type { Database } from '../database/connect.ts';
import type { HostRecords } from '../host/port.ts';
import type { MacKeys } from '../layout/mac.ts';
import type { Logger } from '../log.ts';
import type { EgressGuard } from '../security/egress.ts';
import type { Secrets } from '../security/envelope.ts';
import type { WorkerConfig } from './config.ts';

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

/** The configured secrets in the shape that the layout signs with. */
export function macKeysOf(secrets: Secrets): MacKeys {
  const key = (keyId: string): MacKeys['current'] => ({
    keyId,
    derive: (jobUuid) => secrets.layoutMacKey(keyId, jobUuid),
  });
  return {
    current: key(secrets.current.keyId),
    byId: (keyId) => (secrets.keyIds.includes(keyId) ? key(keyId) : null),
  };
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
