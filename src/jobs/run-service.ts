import { appendAudit } from '../database/audit.ts';
import { ClientProofs } from '../database/client-proofs.ts';
import type { Transaction } from '../database/connect.ts';
import { listEvents } from '../database/events.ts';
import { ClientJobs } from '../database/jobs.ts';
import { startRun } from '../database/queue.ts';
import { ClientRuns } from '../database/runs.ts';
import { BackupError } from '../errors/backup-error.ts';
import { publicMessageId } from '../events/catalogue.ts';
import { renderEvent } from '../events/render.ts';
import type { EventView } from '../protocol/run.ts';
import { times } from '../protocol/times.ts';
import type { RunService } from './client.ts';
import { clientActor, timezoneOf, type ServiceParts } from './parts.ts';
import { restoreService } from './restore-service.ts';
import { progressView, runView, validationStatus } from './views.ts';

const PAGE = 50;

/** Runs of one client: start, watch, cancel. */
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
      const run = await runs.get(runId);
      const view = progressView(run);
      const mayBeRunning = run.validation_mode === 'post_run' && view.terminal && view.validation_status === 'not_run';
      if (!mayBeRunning) return view;
      const validation = await new ClientProofs(database, clientId).validationOf(runId);
      return { ...view, validation_status: validationStatus(validation?.status ?? 'not_run') };
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

    restore: restoreService(parts, clientId),
  };
}
