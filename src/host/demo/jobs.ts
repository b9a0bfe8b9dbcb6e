import { setTimeout as delay } from 'node:timers/promises';
import { BackupError } from '../../errors/backup-error.ts';
import type { ClientServices } from '../../jobs/client.ts';
import { NewJob } from '../../protocol/job-input.ts';
import type { ProgressView, RunView } from '../../protocol/run.ts';
import type { DemoSecrets } from './secrets.ts';

/** Where the demo's sources answer this time. */
export interface SourceAddresses {
  readonly s3Port: number;
  readonly sftpPort: number;
}

export const SOURCE_BUCKET = 'shop-files';

/** Identifiers; null when the customer has deleted the job. */
export interface DemoJobs {
  readonly shop: string | null;
  readonly office: string | null;
}

const SHOP = 'Online shop';
const OFFICE = 'Office file server';

/**
 * Creates the first customer's two jobs, as its browser would, when it has none at all. Where a source has another port than the
 * last time, the job is told.
 */
export async function ensureDemoJobs(
  client: ClientServices,
  secrets: DemoSecrets,
  addresses: SourceAddresses,
): Promise<DemoJobs> {
  const { rows } = await client.jobs.list({ limit: 100 });
  const bucket = (await client.buckets.list()).find((candidate) => candidate.name.endsWith('-backups'));
  const ensure = async (wanted: Readonly<Record<string, unknown>>): Promise<string | null> => {
    const existing = rows.find((job) => job.name === wanted['name']);
    if (existing !== undefined) {
      const { source_type, source_config } = NewJob.parse({ ...wanted, dest_bucket_id: existing.dest_bucket_id });
      await client.jobs.update(existing.job_id, { source_type, source_config });
      return existing.job_id;
    }
    if (rows.length > 0) return null;
    if (bucket === undefined) throw new BackupError('BUCKET_NOT_FOUND');
    return (await client.jobs.create(NewJob.parse({ ...wanted, dest_bucket_id: bucket.id }))).jobId;
  };
  return {
    shop: await ensure(shopJob(secrets, addresses.s3Port)),
    office: await ensure(officeJob(secrets, addresses.sftpPort)),
  };
}

function shopJob(secrets: DemoSecrets, port: number): Record<string, unknown> {
  return {
    name: SHOP,
    source_type: 's3_compatible',
    source_display_name: 'Shop on S3',
    source_config: {
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      bucket: SOURCE_BUCKET,
      access_key: secrets.sourceS3.accessKey,
      secret_key: secrets.sourceS3.secretKey,
    },
    source_path: '',
    dest_prefix: 'online-shop',
    schedule_type: 'manual',
  };
}

function officeJob(secrets: DemoSecrets, port: number): Record<string, unknown> {
  return {
    name: OFFICE,
    source_type: 'sftp',
    source_display_name: 'Office (SFTP)',
    source_config: { host: '127.0.0.1', port, user: secrets.sftp.user, pass: secrets.sftp.password },
    source_path: '',
    dest_prefix: 'office',
    schedule_type: 'daily',
    schedule_time: '02:30',
  };
}

/** True when there is something to restore. */
export async function hasPoints({ client }: { client: ClientServices }, jobId: string): Promise<boolean> {
  return (await client.points.list({ jobId, limit: 1 })).rows.length > 0;
}

/** Starts a backup of a job, or joins the one that is under way. */
export async function startBackup(client: ClientServices, jobId: string): Promise<string> {
  const underWay = (await activeRun(client, jobId))?.run_id;
  return underWay ?? (await client.runs.start(jobId)).runId;
}

async function activeRun(client: ClientServices, jobId: string): Promise<RunView | undefined> {
  const { rows } = await client.runs.list({ jobId, limit: 5 });
  return rows.find((run) => run.kind === 'backup' && ['queued', 'starting', 'running'].includes(run.status));
}

const LOOK_EVERY_MS = 200;

/**
 * Waits for the end of a run and tells its progress meanwhile.
 * @throws BackupError NO_WORKER when nobody has taken it after `queuedMs`
 */
export async function followRun(
  client: ClientServices,
  runId: string,
  options: { onProgress: (progress: ProgressView) => void; signal: AbortSignal; queuedMs?: number },
): Promise<RunView> {
  const queuedUntil = Date.now() + (options.queuedMs ?? 60_000);
  for (;;) {
    const progress = await client.runs.progress(runId);
    if (progress.terminal) return await client.runs.get(runId);
    if (progress.status === 'queued' && progress.attempt === 0 && Date.now() > queuedUntil) {
      throw new BackupError('NO_WORKER');
    }
    options.onProgress(progress);
    await delay(LOOK_EVERY_MS, undefined, { signal: options.signal });
  }
}
