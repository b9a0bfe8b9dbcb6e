import type { Transaction } from '../database/connect.ts';
import type { WorkerJob } from '../database/worker-jobs.ts';
import type { TerminalStatus } from '../runs/state.ts';
import type { ActiveRun } from './active-run.ts';
import type { RunReporter } from './run-reporter.ts';
import type { WorkerServices } from './services.ts';

/** One claimed run, with what its execution shares. */
export interface RunScope {
  readonly services: WorkerServices;
  readonly active: ActiveRun;
  readonly job: WorkerJob;
  readonly reporter: RunReporter;
  /** Private folder of this claim. */
  readonly folder: string;
  /** Called once at the end of the run, however it ends, in the reverse order of their registration; failures are only logged. */
  readonly atEnd: (work: () => Promise<void>) => void;
  /** Writes the notice of the run's end, in the transaction that ends it. */
  readonly notify: (trx: Transaction, status: TerminalStatus) => Promise<void>;
}
