import { ClientJobs } from '../database/jobs.ts';
import { ClientPoints } from '../database/points.ts';
import { browseService } from './browse-service.ts';
import type { ClientServices } from './client.ts';
import { connectionService } from './connection-service.ts';
import { JobsOfClient } from './job-service.ts';
import { timezoneOf, type ServiceParts } from './parts.ts';
import { SourceConnections } from './source-connections.ts';
import { proofService } from './proof-service.ts';
import { recoveryService } from './recovery-service.ts';
import { runService } from './run-service.ts';
import { retentionService } from './retention-service.ts';
import { settingsService } from './settings-service.ts';
import { clientPointView } from './views.ts';

const PAGE = 50;

/** Everything that may be done in the name of this client, and nothing for anybody else. */
export function clientServices(parts: ServiceParts, clientId: number): ClientServices {
  const points = new ClientPoints(parts.database, clientId);
  const jobs = new ClientJobs(parts.database, clientId);
  return {
    clientId,
    jobs: new JobsOfClient(parts, clientId),
    runs: runService(parts, clientId),
    retention: retentionService(parts, clientId),
    settings: settingsService(parts, clientId),
    connections: connectionService(parts, clientId),
    sources: new SourceConnections(parts, clientId),
    browse: browseService(parts, clientId),
    recovery: recoveryService(parts, clientId),
    serviceState: () => parts.host.serviceState(clientId),
    proofs: proofService(parts, clientId),
    timezone: () => timezoneOf(parts, clientId),
    points: {
      async list({ jobId, cursor, limit = PAGE }) {
        const rows = await points.list({ jobId: await jobs.rowId(jobId), before: cursor, limit: limit + 1 });
        const shown = rows.slice(0, limit);
        return { rows: shown.map(clientPointView), next: rows.length > limit ? (shown.at(-1)?.uuid ?? null) : null };
      },
      get: async (pointId) => clientPointView(await points.get(pointId)),
    },
    buckets: {
      async list() {
        const [buckets, accounts] = await Promise.all([
          parts.host.buckets(clientId),
          parts.host.storageAccounts(clientId),
        ]);
        const names = new Map(accounts.map((account) => [account.id, account.username]));
        return buckets.map((bucket) => ({
          id: bucket.id,
          name: bucket.name,
          account: names.get(bucket.accountId) ?? '',
          versioning: bucket.versioning,
          object_lock: bucket.objectLock,
        }));
      },
    },
  };
}
