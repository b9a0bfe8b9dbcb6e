import { archiveWriter } from '../browse/archive-writer.ts';
import { windowsName } from '../browse/archive-names.ts';
import { appendAudit, countLately, recordAudit } from '../database/audit.ts';
import type { StoredJob } from '../database/job-rows.ts';
import { ClientJobs } from '../database/jobs.ts';
import { ClientKeys } from '../database/keys.ts';
import { BackupError } from '../errors/backup-error.ts';
import { unwrapKeys } from '../security/crypt-keys.ts';
import { bucketAccess } from '../storage/destinations.ts';
import type { RecoveryService } from './client.ts';
import { clientActor, type ServiceParts } from './parts.ts';
import { kitFiles, type KitFile } from './recovery-kit.ts';

/** Whoever guesses is stopped here too, whatever the host counts: so many refusals in so long. */
const REFUSED = 'job.recovery_kit_refused';
const MOST_REFUSED = 10;
const REFUSED_WITHIN_MS = 15 * 60_000;

/** Gives out the keys of encrypted jobs: only to who confirms it afresh, and never without an entry in the audit log. */
export function recoveryService(parts: ServiceParts, clientId: number): RecoveryService {
  const { database, secrets, host, confirmPassword } = parts;
  const jobs = new ClientJobs(database, clientId);
  const keys = new ClientKeys(database, clientId);

  async function encryptedJob(jobId: string): Promise<StoredJob> {
    const job = await jobs.getAlsoDeleted(jobId);
    if (!job.encryption_enabled) throw new BackupError('NOT_ENCRYPTED');
    return job;
  }

  async function requireConfirmed(job: StoredJob, confirmation: string): Promise<void> {
    const refused = await countLately(database, { clientId, action: REFUSED, withinMs: REFUSED_WITHIN_MS });
    if (refused >= MOST_REFUSED) {
      throw new BackupError(
        'RATE_LIMITED',
        'The kit was asked for with a wrong confirmation too often. Wait a quarter of an hour and try again.',
      );
    }
    const right =
      confirmPassword === undefined
        ? confirmation.trim() === job.name.trim()
        : confirmation !== '' && (await confirmPassword(clientId, confirmation));
    if (right) return;
    await recordAudit(database, {
      ...clientActor(clientId),
      ...{ action: REFUSED, targetKind: 'job', targetId: job.uuid },
    });
    throw new BackupError('CONFIRMATION_FAILED');
  }

  return {
    confirmation: confirmPassword === undefined ? 'job_name' : 'password',

    async about(jobId) {
      const job = await encryptedJob(jobId);
      return {
        name: job.name,
        bucket: job.dest_bucket_name,
        prefix: job.dest_prefix,
        kitAt: job.kit_downloaded_at,
        deleted: job.deleted_at !== null,
      };
    },

    async kit(jobId, confirmation) {
      const job = await encryptedJob(jobId);
      await requireConfirmed(job, confirmation);
      const stored = await keys.get(jobId);
      const access = await bucketAccess(host, secrets, {
        ...{ clientId, bucketId: job.dest_bucket_id, bucketName: job.dest_bucket_name },
      });
      const files = await kitFiles({
        job,
        bucket: job.dest_bucket_name,
        prefix: job.dest_prefix,
        storage: access,
        passwords: unwrapKeys(secrets, stored),
        madeAt: parts.clock(),
      });
      const body = await zipOf(files, parts.clock());
      await database.transaction(async (trx) => {
        await keys.kitDownloaded(trx, jobId);
        await appendAudit(database, trx, {
          ...clientActor(clientId),
          ...{ action: 'job.recovery_kit_downloaded', targetKind: 'job', targetId: jobId },
        });
      });
      return {
        fileName: `Recovery kit of ${windowsName(job.name.replaceAll('/', '-'))}.zip`,
        contentType: 'application/zip',
        length: body.length,
        body: async function* () {
          yield body;
        },
        close: async () => undefined,
      };
    },
  };
}

async function zipOf(files: readonly KitFile[], mtime: number): Promise<Buffer> {
  const writer = await archiveWriter('zip');
  const collected = collect(writer.output);
  for (const { name, text } of files) {
    const content = Buffer.from(text, 'utf8');
    await writer.add({ name, size: content.length, mtime, content });
  }
  writer.end();
  return await collected;
}

async function collect(output: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of output) parts.push(part);
  return Buffer.concat(parts);
}
