import type { AdminServices } from './admin/services.ts';
import type { Database } from './database/connect.ts';
import { pendingMigrations } from './database/migrate.ts';
import { listWorkers } from './database/workers.ts';
import type { ClientServices } from './jobs/client.ts';

export interface Health {
  readonly schema: 'current' | 'old';
  /** Workers that reported within the last minute. */
  readonly workers: number;
}

/** What the package can do, without HTTP: also for a host's own code. */
export interface Services {
  forClient(clientId: number): ClientServices;
  forAdmin(admin: { adminId: number; name: string }): AdminServices;
  /** @throws when the database does not answer */
  health(): Promise<Health>;
}

const ALIVE_MS = 60_000;

export async function readHealth(database: Database, now: number): Promise<Health> {
  const pending = await pendingMigrations(database);
  if (pending.length > 0) return { schema: 'old', workers: 0 };
  const workers = await listWorkers(database);
  const alive = workers.filter((worker) => worker.state === 'running' && now - worker.lastSeenAt <= ALIVE_MS);
  return { schema: 'current', workers: alive.length };
}
