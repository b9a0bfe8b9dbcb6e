import { NothingStored } from '../backup/nothing-stored.ts';
import type { Transaction } from '../database/connect.ts';
import { enqueueRunNotice } from '../database/outbox.ts';
import { readWorkerJob } from '../database/worker-jobs.ts';
import { BackupError } from '../errors/backup-error.ts';
import { describeError, type Logger } from '../log.ts';
import type { TerminalStatus } from '../runs/state.ts';
import type { ActiveRun } from './active-run.ts';
import { executeBackup } from './execute-backup.ts';
import { executeDrill, recordFailedDrill } from './execute-drill.ts';
import { executeMaintenance } from './execute-maintenance.ts';
import { executeRestore } from './execute-restore.ts';
import { executeValidation } from './execute-validation.ts';
import { recordReport } from './ledger.ts';
import { createRunFolder, type ProcessMark } from './run-folder.ts';
import { RunReporter } from './run-reporter.ts';
import type { RunScope } from './run-scope.ts';
import type { WorkerServices } from './services.ts';
import { settle } from './settle.ts';

/** Carries out one claimed run and writes its end. Throws only for what not even that could be written for. */
export async function executeRun(services: WorkerServices, active: ActiveRun, self: ProcessMark): Promise<void> {
  const { database, log, config } = services;
  const reporter = new RunReporter({ database, active, log, ...(await reporterSettings(services)) });
  const folder = createRunFolder(config.rclone.run_dir, active.lease, active.run.claimName, self);
  const endings: (() => Promise<void>)[] = [];
  const notify = async (trx: Transaction, status: TerminalStatus): Promise<void> => {
    await enqueueRunNotice(trx, database, {
      id: active.run.id,
      uuid: active.run.uuid,
      jobId: active.run.jobId,
      clientId: active.run.clientId,
      kind: active.run.kind,
      status,
    });
  };
  try {
    const job = await readWorkerJob(database, { id: active.run.jobId });
    if (job === null) throw new BackupError('JOB_NOT_FOUND');
    await dispatch({
      services,
      active,
      job,
      reporter,
      folder: folder.path,
      notify,
      atEnd: (work) => endings.push(work),
    });
  } catch (error) {
    const alsoRecord = async (trx: Transaction, status: TerminalStatus): Promise<void> => {
      if (active.run.kind === 'drill' && status === 'failed') await recordFailedDrill({ services, active }, trx);
      if (error instanceof NothingStored) await recordReport(database, trx, active.run.id, error.report);
      await notify(trx, status);
    };
    await settle({ database, active, reporter, log, notify: alsoRecord }, error);
  } finally {
    await runAll(endings, log);
    reporter.stop();
    folder.remove();
  }
}

/** What a run opened is closed again, whatever became of it. */
async function runAll(endings: (() => Promise<void>)[], log: Logger): Promise<void> {
  for (const work of endings.reverse()) {
    await work().catch((error: unknown) =>
      log.warn('the end of a run left something open', { error: describeError(error) }),
    );
  }
}

async function dispatch(scope: RunScope): Promise<void> {
  switch (scope.active.run.kind) {
    case 'backup':
      return await executeBackup(scope);
    case 'restore':
      return await executeRestore(scope);
    case 'maintenance':
      return await executeMaintenance(scope);
    case 'validation':
      return await executeValidation(scope);
    case 'drill':
      return await executeDrill(scope);
  }
}

async function reporterSettings({ records }: WorkerServices): Promise<{ progressEventMs: number; maxEvents?: number }> {
  const settings = await records.settings();
  const seconds = Number(settings.get('cloudbackup_event_progress_interval_seconds'));
  const max = Number(settings.get('cloudbackup_event_max_per_run'));
  return {
    progressEventMs: (seconds > 0 ? seconds : 30) * 1000,
    ...(Number.isInteger(max) && max > 0 ? { maxEvents: max } : {}),
  };
}
