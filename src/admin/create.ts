import { AllRuns } from '../database/admin.ts';
import { appendAudit } from '../database/audit.ts';
import { listWorkers } from '../database/workers.ts';
import type { ServiceParts } from '../jobs/parts.ts';
import { plainRunView } from '../jobs/views.ts';
import { times } from '../protocol/times.ts';
import type { AdminServices } from './services.ts';

const PAGE = 50;
/** A worker reports every few seconds; silent for this long, it is taken for dead. */
const ALIVE_MS = 60_000;

export function adminServices(parts: ServiceParts, admin: { adminId: number; name: string }): AdminServices {
  const { database } = parts;
  const runs = new AllRuns(database);
  return {
    adminId: admin.adminId,
    timezone: () => Promise.resolve(parts.timezone),

    async listRuns({ clientId, status, cursor, limit = PAGE }) {
      const rows = await runs.list({ clientId, status, before: cursor, limit: limit + 1 });
      const shown = rows.slice(0, limit);
      const clients = await parts.host.clients([...new Set(shown.map((run) => run.client_id))]);
      return {
        rows: shown.map((run) => {
          const client = clients.get(run.client_id);
          return {
            ...plainRunView(run, run.job_name),
            client_id: run.client_id,
            client_name: client === undefined ? null : `${client.firstName} ${client.lastName}`.trim(),
            client_email: client?.email ?? null,
            worker_host: run.worker_host,
            stopping: run.cancel_requested && run.finished_at === null,
            phase: run.phase,
            speed_bytes_per_sec: run.speed_bytes_per_sec,
          };
        }),
        next: rows.length > limit ? (shown.at(-1)?.uuid ?? null) : null,
      };
    },

    async listWorkers() {
      const now = parts.clock();
      const workers = await listWorkers(database);
      return workers.map((worker) => ({
        worker_id: worker.uuid,
        hostname: worker.hostname,
        version: worker.version,
        tools: { ...worker.tools },
        state: worker.state,
        alive: worker.state !== 'stopped' && now - worker.lastSeenAt <= ALIVE_MS,
        max_concurrent: worker.maxConcurrent,
        active_runs: worker.activeRuns,
        ...times({ started_at: worker.startedAt, last_seen_at: worker.lastSeenAt }),
      }));
    },

    async forceStop(runId) {
      const status = await database.transaction(async (trx) => {
        const { outcome, clientId } = await runs.forceStop(trx, runId);
        await appendAudit(database, trx, {
          actorKind: 'admin',
          actorId: String(admin.adminId),
          clientId,
          action: 'run.force_cancelled',
          targetKind: 'run',
          targetId: runId,
          params: { admin: admin.name },
        });
        return outcome;
      });
      return { status };
    },
  };
}
