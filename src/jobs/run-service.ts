import { appendAudit } from '../database/audit.ts';
import type { Transaction } from '../database/connect.ts';
import { listEvents } from '../database/events.ts';
import { ClientJobs } from '../database/jobs.ts';
import { ClientPoints } from '../database/points.ts';
import { ClientPrefixes } from '../database/prefixes.ts';
import { queueRun, startRun } from '../database/queue.ts';
import { ClientRuns } from '../database/runs.ts';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { invalidFields } from '../errors/invalid-fields.ts';
import { publicMessageId } from '../events/catalogue.ts';
import { renderEvent } from '../events/render.ts';
import { normalisePrefix } from '../layout/keys.ts';
import type { RestoreOptions } from '../protocol/run-options.ts';
import type { EventView } from '../protocol/run.ts';
import { times } from '../protocol/times.ts';
import type { RunService } from './client.ts';
import { clientActor, timezoneOf, type ServiceParts } from './parts.ts';
import { progressView, runView } from './views.ts';

const PAGE = 50;

/** Runs of one client: start, watch, cancel, restore. */
export function runService(parts: ServiceParts, clientId: number): RunService {
  const { database } = parts;
  const runs = new ClientRuns(database, clientId);
  const jobs = new ClientJobs(database, clientId);

  /** "Run anyway once" is never without its entry in the audit log. */
  function auditAnyway(jobUuid: string) {
    return async (trx: Transaction, runUuid: string): Promise<void> => {
      await appendAudit(database, trx, {
        ...clientActor(clientId),
        action: 'run.started_anyway',
        targetKind: 'run',
        targetId: runUuid,
        params: { job: jobUuid, allow_empty: true },
      });
    };
  }

  return {
    async start(jobId, options = {}) {
      const state = await parts.host.serviceState(clientId);
      // A missing job is a missing job whatever the state of the service.
      const job = await jobs.get(jobId);
      if (state !== 'active') throw new BackupError('SERVICE_SUSPENDED');
      const { runUuid } = await startRun(database, {
        clientId,
        jobUuid: job.uuid,
        ...(options.allowEmpty === true ? { options: { allow_empty: true }, alongside: auditAnyway(job.uuid) } : {}),
      });
      return { runId: runUuid };
    },

    async cancel(runId, options = {}) {
      const force = options.force === true;
      const status = await database.transaction(async (trx) => {
        const outcome = await runs.cancel(trx, runId, { force });
        await appendAudit(database, trx, {
          ...clientActor(clientId),
          action: force ? 'run.force_cancelled' : 'run.cancelled',
          targetKind: 'run',
          targetId: runId,
        });
        return outcome;
      });
      return { status };
    },

    async progress(runId) {
      return progressView(await runs.get(runId));
    },

    async get(runId) {
      return runView(await runs.getListed(runId));
    },

    async events(runId, query) {
      const events = await listEvents(database, clientId, runId, { since: query.sinceId, limit: query.limit });
      const timezone = await timezoneOf(parts, clientId);
      return events.map((event): EventView => ({
        id: event.id,
        type: event.type,
        level: event.level,
        code: publicMessageId(event.code),
        message_id: publicMessageId(event.messageId),
        params: { ...event.params },
        message: renderEvent(event, { timezone }),
        ...times({ ts: event.ts }),
      }));
    },

    async list({ jobId, cursor, limit = PAGE }) {
      const rows = await runs.list({
        jobId: jobId === undefined ? undefined : await jobs.rowId(jobId),
        before: cursor,
        limit: limit + 1,
      });
      const shown = rows.slice(0, limit);
      return { rows: shown.map(runView), next: rows.length > limit ? (shown.at(-1)?.uuid ?? null) : null };
    },

    async restore(request) {
      const point = await new ClientPoints(database, clientId).get(request.pointId);
      const bucket = await parts.host.bucket(clientId, request.bucketId);
      if (bucket === null) throw new BackupError('BUCKET_NOT_FOUND');
      const prefix = targetPrefix(request.prefix);
      const options: RestoreOptions = {
        point: point.uuid,
        folder: folderOf(request.folder),
        target: { bucket_id: bucket.id, bucket: bucket.name, prefix },
      };
      const prefixes = new ClientPrefixes(database, clientId);
      const runId = await database.transaction(async (trx) => {
        await prefixes.requireUnused(trx, { bucketId: bucket.id, bucketName: bucket.name, prefix }).catch(asTarget);
        const job = await jobs.forRun(trx, point.job_uuid);
        const target = { ...job, destBucket: bucket.name, destPrefix: prefix };
        const queued = await queueRun(trx, database, target, { kind: 'restore', trigger: 'manual', options });
        if (queued.outcome !== 'queued') throw new BackupError('CONFLICT');
        await appendAudit(database, trx, {
          ...clientActor(clientId),
          action: 'restore.started',
          targetKind: 'run',
          targetId: queued.runUuid,
          params: { point: point.uuid, folder: options.folder, bucket: bucket.name, prefix },
        });
        return queued.runUuid;
      });
      return { runId };
    },
  };
}

/** A restore never goes to the top of a bucket: it would lie among everything else. */
function targetPrefix(given: string): string {
  if (given.replaceAll('/', '') === '') throw invalidFields([['dest_prefix', 'must name a folder']]);
  return normalisePrefix(given, '');
}

/** A folder inside the point, as its entries name it. */
function folderOf(given: string): string {
  const folder = given.replace(/^\/+|\/+$/g, '');
  const segments = folder === '' ? [] : folder.split('/');
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw invalidFields([['folder', 'must be a folder of the restore point']]);
  }
  return folder;
}

function asTarget(error: unknown): never {
  if (!isBackupError(error, 'PREFIX_TAKEN')) throw error;
  throw new BackupError(
    'ERR_RESTORE_TARGET',
    'This folder belongs to a backup job or to another restore. Choose a folder outside of them.',
    { cause: error },
  );
}
