import { BackupError } from '../errors/backup-error.ts';
import type { RunScope } from './execute.ts';

export async function executeRestore(_scope: RunScope): Promise<void> {
  throw new BackupError('ERR_NOT_AVAILABLE');
}
