import type { ArchiveSettings } from '../archive/settings.ts';
import type { JobEncryption } from '../crypt/job-encryption.ts';
import type { BackupEngine } from '../engines/port.ts';
import type { BrakeSettings } from '../layout/brakes.ts';
import type { MacKeys } from '../layout/mac.ts';
import type { Ownership } from '../layout/owner.ts';
import type { ObjectStore } from '../storage/port.ts';
import type { NewPoint, RunLedger, RunStatistics } from './ledger.ts';

/** Everything that one claim of a backup run works with. */
export interface BackupContext {
  readonly job: {
    readonly uuid: string;
    /** Normalised (`normalisePrefix`): ends in a slash. */
    readonly prefix: string;
    /** `archive`: one stream of all files instead of an object for each. Absent: `sync`. */
    readonly mode?: 'sync' | 'archive';
    /** Name of the source type, for the manifest: `s3_compatible`, `aws`, `sftp` … */
    readonly sourceType: string;
    /** Retention is frozen since an earlier run and nobody has released it. */
    readonly frozen: boolean;
    readonly brakes: BrakeSettings;
  };
  readonly run: {
    readonly uuid: string;
    /** This claim: `c<number>-<8 hex>`. */
    readonly claim: string;
    readonly generation: number;
    /** "Run anyway once": an empty source makes a point, and freezes retention. */
    readonly allowEmptySource: boolean;
  };
  readonly owner: Omit<Ownership, 'job'>;
  readonly store: ObjectStore;
  readonly engine: BackupEngine;
  readonly ledger: RunLedger;
  readonly keys: MacKeys;
  /** Null or absent: the job is not encrypted. */
  readonly encryption?: JobEncryption | null;
  /** Sizes of archives where they are not the usual ones. */
  readonly archive?: Partial<ArchiveSettings>;
  /** A private, empty folder; the caller removes it when the run is over. */
  readonly workFolder: string;
  /** Epoch milliseconds. */
  readonly clock: () => number;
  /** Files of one list that stay in memory (default 50,000); more go to `workFolder`. */
  readonly memoryItems?: number;
  /** First pause before a database that cannot be reached is asked again (default 250 ms); doubled up to five seconds. */
  readonly databaseRetryMs?: number;
}

export interface BackupResult {
  readonly status: 'success' | 'warning';
  readonly point: NewPoint;
  readonly statistics: RunStatistics;
  /** The point was written by an earlier claim of the run; this one only committed it. */
  readonly rolledForward: boolean;
}

export const DEFAULT_MEMORY_ITEMS = 50_000;
export const DEFAULT_DATABASE_RETRY_MS = 250;
