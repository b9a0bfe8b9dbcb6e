import type { ListPage } from '../jobs/client.ts';
import type { AdminRunView, WorkerView } from '../protocol/admin.ts';

/** What an operator may see and do, over all clients. */
export interface AdminServices {
  readonly adminId: number;
  /** Newest first. */
  listRuns(query: {
    clientId?: number | undefined;
    status?: string | undefined;
    cursor?: string | undefined;
    limit?: number | undefined;
  }): Promise<ListPage<AdminRunView>>;
  listWorkers(): Promise<WorkerView[]>;
  /** Cancels, by force: shown as stopping until its owner has confirmed. @throws BackupError `RUN_NOT_FOUND`, `RUN_NOT_CANCELLABLE` */
  forceStop(runId: string): Promise<{ status: 'cancelled' | 'stopping' }>;
  timezone(): Promise<string>;
}
