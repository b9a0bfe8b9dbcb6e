import type { WorkerJob } from '../database/worker-jobs.ts';
import type { WorkerServices } from './services.ts';

/** Bytes per second for one run: the smallest of the worker's, the installation's and the job's limit; 0 = unlimited. */
export async function bandwidthOf(
  { config, records }: Pick<WorkerServices, 'config' | 'records'>,
  job: Pick<WorkerJob, 'bandwidthLimitKbps'>,
): Promise<number> {
  const installation = Number((await records.settings()).get('cloudbackup_global_max_bandwidth_kbps') ?? 0);
  const limits = [config.worker.max_bandwidth_kbps, installation, job.bandwidthLimitKbps ?? 0].filter(
    (limit) => limit > 0,
  );
  return limits.length === 0 ? 0 : Math.min(...limits) * 1024;
}
