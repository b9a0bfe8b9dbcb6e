import { packageVersion } from '../engines/tools.ts';
import type { ClaimLimits } from '../database/claims.ts';
import { enqueueRunNotice } from '../database/outbox.ts';
import type { LostRun } from '../database/leases.ts';
import { createCommandTaker } from './commands.ts';
import { executeRun } from './execute.ts';
import { startHealthServer, type HealthServer } from './health.ts';
import { endLeftovers } from './leftovers.ts';
import { recoverLostRuns } from './recovery.ts';
import { markOf } from './run-folder.ts';
import type { WorkerServices } from './services.ts';
import { withdrawConnections } from './withdraw-connections.ts';
import { Worker } from './worker.ts';

export interface RunningWorker {
  readonly worker: Worker;
  readonly health: HealthServer | null;
  stop(): Promise<void>;
}

/** Puts a worker together and starts it. */
export async function startWorker(services: WorkerServices): Promise<RunningWorker> {
  const { config, database, log, rclone } = services;
  const self = markOf(process.pid) ?? { pid: process.pid, started: '' };
  const notify = async (
    trx: Parameters<typeof enqueueRunNotice>[0],
    run: LostRun,
    status: 'failed' | 'cancelled',
  ): Promise<void> => {
    await enqueueRunNotice(trx, database, { ...run, status });
  };
  const recover = async (marginMs: number): Promise<number> =>
    await recoverLostRuns({
      database,
      marginMs,
      log,
      notify: async (trx, run, outcome) =>
        outcome.status === 'queued' ? undefined : await notify(trx, run, outcome.status),
    });
  const worker = new Worker(
    database,
    {
      hostname: config.worker.hostname,
      version: packageVersion(),
      tools: { rclone: rclone.version },
      engineVersion: `rclone ${rclone.version}`,
      maxConcurrent: config.worker.max_concurrent_jobs,
      pollMs: config.worker.poll_interval_seconds * 1000,
      leaseMs: config.worker.lease_seconds * 1000,
      marginMs: config.worker.lease_margin_seconds * 1000,
    },
    {
      execute: async (active) => await executeRun(services, active, self),
      takeCommand: createCommandTaker(services),
      recover,
      withdrawConnections: async (signal) => await withdrawConnections(services, signal),
      endLeftovers: async () => await endLeftovers(services, self),
      limits: async () => await claimLimits(services),
    },
    log,
  );
  await worker.start();
  const startedAt = performance.now();
  const health =
    config.worker.health_port === 0
      ? null
      : await startHealthServer({ port: config.worker.health_port, host: config.worker.health_host }, () => ({
          ...worker.health(),
          version: packageVersion(),
          uptime_seconds: Math.round((performance.now() - startedAt) / 1000),
          memory_mb: Math.round(process.memoryUsage.rss() / 1e6),
        }));
  log.info('worker started', {
    worker: worker.uuid,
    hostname: config.worker.hostname,
    rclone: rclone.version,
    max: config.worker.max_concurrent_jobs,
  });
  return {
    worker,
    health,
    async stop() {
      await worker.stop();
      await health?.close();
      log.info('worker stopped', { worker: worker.uuid });
    },
  };
}

/** Module settings may change while the worker runs. Empty or 0 = no limit. */
async function claimLimits({ records }: WorkerServices): Promise<ClaimLimits> {
  const settings = await records.settings();
  const limit = (name: string): number | null => {
    const value = Number(settings.get(name));
    return Number.isInteger(value) && value > 0 ? value : null;
  };
  return {
    global: limit('cloudbackup_global_max_concurrent_jobs'),
    perClient: limit('cloudbackup_per_client_max_concurrent_jobs'),
  };
}
