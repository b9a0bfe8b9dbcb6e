import { BackupError } from '../errors/backup-error.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import type { ProblemReport } from './ledger.ts';

/** Not one file could be stored: the code is that of most files, the report names them. */
export class NothingStored extends BackupError {
  readonly report: ProblemReport;

  constructor(code: ErrorCode, report: ProblemReport) {
    super(code);
    this.report = report;
  }
}
