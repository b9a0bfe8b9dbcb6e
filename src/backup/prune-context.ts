import type { JobEncryption } from '../crypt/job-encryption.ts';
import type { MacKeys } from '../layout/mac.ts';
import type { Ownership } from '../layout/owner.ts';
import type { ObjectStore } from '../storage/port.ts';
import type { PruneLedger } from './prune-ledger.ts';

/** Everything that one claim of a maintenance run works with. */
export interface PruneContext {
  readonly job: {
    readonly uuid: string;
    /** Normalised (`normalisePrefix`): ends in a slash. */
    readonly prefix: string;
  };
  /** The job's data is to be deleted: when no point is left, everything of the format goes, marker and keys last. */
  readonly wholeData: boolean;
  readonly owner: Omit<Ownership, 'job'>;
  readonly store: ObjectStore;
  readonly ledger: PruneLedger;
  readonly keys: MacKeys;
  /** Null or absent: the job is not encrypted. */
  readonly encryption?: JobEncryption | null;
  /** A private, empty folder; the caller removes it afterwards. */
  readonly workFolder: string;
  /** Items of one list that stay in memory (default 50,000); more go to `workFolder`. */
  readonly memoryItems?: number;
  /** Keys in one delete request, at most (default 1,000). */
  readonly deleteBatchKeys?: number;
  /** First pause before a database that cannot be reached is asked again (default 250 ms); doubled up to five seconds. */
  readonly databaseRetryMs?: number;
  /** How long to wait for a heartbeat that is overdue before the prune gives up (default two minutes). */
  readonly heartbeatWaitMs?: number;
}
