import type { ErrorCode } from '../errors/catalogue.ts';
import type { TransferProgress } from '../engines/port.ts';
import type { DatabaseView, PointView } from '../layout/explain.ts';

export type { DatabaseView, LivePointState, PointView, RunView } from '../layout/explain.ts';

/**
 * What a backup run needs of the database. The protocol (`run.ts`) knows nothing of SQL: src/database implements this port, the
 * model test has one in memory. One ledger belongs to one claim of one run; every write is conditional on the run's status
 * **and** on the lease token of this claim, so that a late writer changes nothing.
 *
 * Any method may throw BackupError `ERR_DATABASE_UNREACHABLE`; the protocol then waits and calls again, so each one must bear
 * being repeated, also when its first call took effect and only the answer was lost.
 */
export interface RunLedger {
  /**
   * Aborts when this claim has to stop; `reason` is a BackupError: `ERR_CANCELLED` (cancel was asked for), `ERR_LEASE_LOST`
   * (another claim owns the run), or whatever else ends it (a worker that shuts down hands the run back).
   */
  readonly signal: AbortSignal;

  /**
   * What the database knows of this job: asked **after** the bucket was listed, for the runs that were seen there.
   * Runs that do not exist, or belong to another job, are absent from `runs`. `points` holds every point of the job that is kept,
   * marked or deleting, whatever `runs` says.
   */
  view(runs: readonly string[]): Promise<DatabaseView>;

  /**
   * Takes this run's hold on its base, the newest (highest generation) kept, unmarked point of the job, and on the newest such
   * point that is complete, against which the brakes are measured (often the same point). `UPDATE … WHERE state='kept'` on the
   * point's own row; if it was marked meanwhile, the next one is taken. The ledger renews both holds with the run's heartbeat and
   * gives them back in `commit`, in `releaseHolds`, and when the run ends in any other way.
   */
  takeHolds(): Promise<HeldPoints>;
  releaseHolds(): Promise<void>;

  /**
   * Paths of the base whose object in the bucket a validation or a restore test found missing or altered since that point was
   * committed: they are copied again, so that damage does not live on in every later point.
   */
  damaged(base: PointView): Promise<ReadonlySet<string>>;

  /**
   * Inserts the point of a terminal run of this job whose whole manifest lies in the bucket without a point ("adopted"): the run's
   * status stays, an event is written to that run. `known`: the run has a point already.
   */
  adopt(point: NewPoint): Promise<'adopted' | 'known' | 'lost'>;

  /**
   * The end of a successful run, one transaction: terminal status, point, freeze, events, outbox, release of the holds;
   * conditional on status and lease token. `committed` also when this very manifest of this run is committed already (an answer
   * that was lost). `lost`: the lease is somebody else's, or the run is over; nothing was changed.
   */
  commit(request: CommitRequest): Promise<'committed' | 'lost'>;

  /** Live figures, at most about one call a second. Never throws: figures that are lost are replaced by the next ones. */
  progress(progress: RunProgress): void;

  /** Adds an event to the run, in order; kept by the ledger until the database takes it. Never throws. */
  event(event: BackupEvent): void;

  /**
   * True when a heartbeat of this claim was answered within the lease. No delete is ever sent while it is false.
   */
  heartbeatConfirmed(): boolean;
}

export interface HeldPoints {
  /** Null: the job has no kept point; everything is copied. */
  readonly base: PointView | null;
  /** The newest complete kept point, or null: the base stands in for it. */
  readonly reference: PointView | null;
}

/** What is inserted as a restore point (state `kept`); the ledger gives it its uuid. */
export interface NewPoint {
  readonly run: string;
  readonly claim: string;
  readonly generation: number;
  readonly manifestKey: string;
  readonly manifestSha256: string;
  /** ISO 8601 UTC with milliseconds: the manifest's `created_at`. */
  readonly createdAt: string;
  readonly sourceType: string;
  readonly complete: boolean;
  readonly frozen: boolean;
  /** Entries, and how many of them are stored, carried, failed. `bytes`: sizes of stored and carried entries. */
  readonly files: number;
  readonly bytes: number;
  readonly stored: number;
  readonly carried: number;
  readonly failed: number;
}

/** Why retention of the job is frozen until somebody releases it. */
export interface Freeze {
  readonly reason: 'brake' | 'empty_source' | 'rolled_forward';
  /** Files of the reference point, and how many of them are deleted or changed in this run. */
  readonly referenceFiles: number;
  readonly deleted: number;
  readonly changed: number;
}

export interface RunStatistics {
  /** Files and bytes that the source lists. */
  readonly filesListed: number;
  readonly bytesListed: number;
  /** Files and bytes that this claim put into the bucket, by upload and by server-side copy. */
  readonly filesCopied: number;
  readonly bytesCopied: number;
  /** What of these the bucket holds, where they are compressed on their way; absent: the same. */
  readonly bytesStored?: number;
  readonly unchanged: number;
  readonly moved: number;
  readonly added: number;
  readonly changed: number;
  readonly deleted: number;
  readonly carried: number;
  readonly failed: number;
}

export interface CommitRequest {
  /** `success` when the point is complete and nothing was left out, else `warning`. */
  readonly status: 'success' | 'warning';
  readonly point: NewPoint;
  /** Set when this run freezes the job's retention. */
  readonly freeze: Freeze | null;
  readonly statistics: RunStatistics;
  /** Written in the same transaction, after all events handed to `event()` before. */
  readonly events: readonly BackupEvent[];
  /** Files that are not in the point as the source has them; absent where that is not known (roll-forward). */
  readonly report?: ProblemReport;
}

export interface ProblemReport {
  /** As many as a report holds: those that failed first, then carried ones, then what was left out. */
  readonly files: readonly FileProblem[];
  readonly totals: Readonly<Record<FileProblem['outcome'], number>>;
}

export type RunPhase = 'checking' | 'listing' | 'comparing' | 'copying' | 'verifying' | 'committing';

export interface RunProgress {
  readonly phase: RunPhase;
  /** Files listed so far (phase `listing`), afterwards all of them. */
  readonly filesListed: number;
  /** Present while copying. */
  readonly transfer: TransferProgress | null;
}

/** One file that could not be taken as the source has it, and what became of it. */
export interface FileProblem {
  readonly path: string;
  readonly code: FileProblemCode;
  /** `carried`: its last stored version stands in; `failed`: there is none; `skipped`: left out of the point. */
  readonly outcome: 'carried' | 'failed' | 'skipped';
}

export type FileProblemCode =
  | ErrorCode
  /** Size, time or hash moved while it was copied. */
  | 'FILE_CHANGED_MEANWHILE'
  /** Gone from the source after it was listed. */
  | 'FILE_VANISHED'
  /** The copy did not arrive, or arrived with another size or hash. */
  | 'FILE_NOT_ARRIVED'
  /** Lies in a folder that could not be listed. */
  | 'FOLDER_UNREADABLE'
  /** Two files of the source have this same name. */
  | 'DUPLICATE_NAME'
  | 'SYMLINK'
  | 'SYMLINK_LOOP'
  | 'SPECIAL_FILE'
  | 'BAD_NAME'
  /** A document of a service that it gives out in no file form. */
  | 'UNEXPORTABLE'
  /** The server lists it without a size, which looks like an empty file, and it is none. */
  | 'SIZE_UNTOLD';

/** What a run tells about itself. Codes are those of the event catalogue; params hold only counts, paths and codes. */
export type BackupEvent =
  | { readonly code: 'MARKER_CREATED'; readonly params: Record<string, never> }
  | { readonly code: 'POINT_ADOPTED'; readonly params: { readonly run: string; readonly claim: string } }
  | { readonly code: 'ROLLED_FORWARD'; readonly params: { readonly claim: string } }
  | {
      readonly code: 'LISTED';
      readonly params: { readonly files: number; readonly bytes: number; readonly complete: boolean };
    }
  | {
      readonly code: 'COMPARED';
      readonly params: {
        readonly unchanged: number;
        readonly moved: number;
        readonly added: number;
        readonly changed: number;
        readonly deleted: number;
        readonly carried: number;
        /** Files and bytes that have to be copied. */
        readonly files: number;
        readonly bytes: number;
      };
    }
  | { readonly code: 'DAMAGED_COPIED_AGAIN'; readonly params: { readonly files: number } }
  | { readonly code: 'FILES_REUSED'; readonly params: { readonly files: number; readonly bytes: number } }
  | { readonly code: 'LISTING_INCOMPLETE'; readonly params: Record<string, never> }
  | {
      readonly code: 'FOLDERS_UNREADABLE';
      readonly params: { readonly folders: readonly string[]; readonly total: number };
    }
  /** At most a hundred problems an event; `total` counts all of the run. */
  | {
      readonly code: 'FILE_PROBLEMS';
      readonly params: { readonly problems: readonly FileProblem[]; readonly total: number };
    }
  | {
      readonly code: 'RETENTION_FROZEN';
      readonly params: {
        readonly reason: Freeze['reason'];
        readonly deleted: number;
        readonly changed: number;
        readonly files: number;
      };
    };
