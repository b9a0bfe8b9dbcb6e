import { appendAudit } from '../database/audit.ts';
import { ClientProofs, type StoredDrill } from '../database/client-proofs.ts';
import type { Transaction } from '../database/connect.ts';
import { ClientJobs } from '../database/jobs.ts';
import { ClientPoints } from '../database/points.ts';
import { lastProof, newestKeptPoint } from '../database/proofs.ts';
import { queueRun, type JobForRun } from '../database/queue.ts';
import { ClientRunFiles, type StoredRunFile } from '../database/run_files.ts';
import { BackupError } from '../errors/backup-error.ts';
import { fileProblemReason } from '../events/file-problems.ts';
import type { DrillView, RunFileView } from '../protocol/proofs.ts';
import { times } from '../protocol/times.ts';
import type { ProofService } from './client.ts';
import { clientActor, type ServiceParts } from './parts.ts';
import { validationStatus } from './views.ts';

const PAGE = 50;
/** Rows that a report reads at once. */
const REPORT_PAGE = 1_000;

/** Validations, restore tests and reports of one client. */
export function proofService(parts: ServiceParts, clientId: number): ProofService {
  const { database } = parts;
  const jobs = new ClientJobs(database, clientId);
  const points = new ClientPoints(database, clientId);
  const proofs = new ClientProofs(database, clientId);
  const files = new ClientRunFiles(database, clientId);

  /** A missing job is a missing job whatever the state of the service. */
  async function requireStartable(jobId: string): Promise<void> {
    await jobs.get(jobId);
    if ((await parts.host.serviceState(clientId)) !== 'active') throw new BackupError('SERVICE_SUSPENDED');
  }

  async function audit(
    trx: Transaction,
    action: string,
    runUuid: string,
    params: Record<string, unknown>,
  ): Promise<void> {
    await appendAudit(database, trx, {
      ...clientActor(clientId),
      action,
      targetKind: 'run',
      targetId: runUuid,
      params,
    });
  }

  return {
    async startValidation(jobId, { pointId } = {}) {
      await requireStartable(jobId);
      const point = pointId === undefined ? null : await points.get(pointId);
      if (point !== null && point.job_uuid !== jobId) throw new BackupError('POINT_NOT_FOUND');
      const runId = await database.transaction(async (trx) => {
        const job = await jobs.forRun(trx, jobId);
        await requirePoint(trx, job);
        const queued = await queueRun(trx, database, job, {
          kind: 'validation',
          trigger: 'manual',
          options: point === null ? {} : { point: point.uuid },
        });
        if (queued.outcome === 'active') throw alreadyRunning(queued.existing);
        if (queued.outcome !== 'queued') throw new BackupError('CONFLICT');
        await audit(trx, 'validation.started', queued.runUuid, { job: jobId, point: point?.uuid ?? null });
        return queued.runUuid;
      });
      return { runId };
    },

    async startDrill(jobId) {
      await requireStartable(jobId);
      const runId = await database.transaction(async (trx) => {
        const job = await jobs.forRun(trx, jobId);
        await requirePoint(trx, job);
        if ((await lastProof(trx, 'drill', job.id))?.active === true) throw new BackupError('ALREADY_RUNNING');
        const queued = await queueRun(trx, database, job, { kind: 'drill', trigger: 'manual' });
        if (queued.outcome !== 'queued') throw new BackupError('CONFLICT');
        await audit(trx, 'drill.started', queued.runUuid, { job: jobId });
        return queued.runUuid;
      });
      return { runId };
    },

    async lastValidation(jobId) {
      return await proofs.lastValidation(await jobs.rowId(jobId));
    },

    async drills({ jobId, cursor, limit = PAGE }) {
      const rows = await proofs.listDrills({
        jobId: jobId === undefined ? undefined : await jobs.rowId(jobId),
        before: cursor,
        limit: limit + 1,
      });
      const shown = rows.slice(0, limit);
      return { rows: shown.map(drillView), next: rows.length > limit ? (shown.at(-1)?.uuid ?? null) : null };
    },

    async validationOf(runId) {
      const found = await proofs.validationOf(runId);
      if (found === null) throw new BackupError('RUN_NOT_FOUND');
      return { status: validationStatus(found.status), excerpt: found.excerpt };
    },

    async files(runId, { kind, text, after = 0, limit = PAGE }) {
      const { rows, next } = await files.list(runId, { kind, text, after, limit });
      return { rows: rows.map(runFileView), next };
    },

    async fileTotals(runId) {
      return await files.totals(runId);
    },

    async *allFiles(runId, { kind, text }) {
      for (let after: number | null = 0; after !== null;) {
        const page: { rows: StoredRunFile[]; next: number | null } = await files.list(runId, {
          kind,
          text,
          after,
          limit: REPORT_PAGE,
        });
        yield* page.rows.map(runFileView);
        after = page.next;
      }
    },
  };
}

/** Before the first restore point there is nothing to prove. */
async function requirePoint(trx: Transaction, job: JobForRun): Promise<void> {
  if ((await newestKeptPoint(trx, job.id)) !== null) return;
  throw new BackupError('POINT_NOT_FOUND', 'This job has no restore point yet. Run a backup first.');
}

function alreadyRunning(existing: { uuid: string; status: string; kind: string }): BackupError {
  return new BackupError('ALREADY_RUNNING', undefined, {
    details: {
      existing_run_id: existing.uuid,
      existing_run_status: existing.status,
      existing_run_kind: existing.kind,
    },
  });
}

function drillView(drill: StoredDrill): DrillView {
  return {
    drill_id: drill.uuid,
    job_id: drill.job_uuid,
    run_id: drill.run_uuid,
    point_id: drill.point_uuid,
    status: drill.status,
    files: drill.files,
    exact: drill.exact,
    size_only: drill.size_only,
    problems: drill.problems,
    bytes: drill.bytes,
    duration_ms: drill.duration_ms,
    canary_path: drill.canary_path,
    ...times({ started_at: drill.started_at, finished_at: drill.finished_at }),
  };
}

function runFileView(file: StoredRunFile): RunFileView {
  return { ...file, reason: fileProblemReason(file.code) };
}
