import type { ArchiveFormat } from '../browse/archive-writer.ts';
import type { ServiceState } from '../host/port.ts';
import type { ComparisonView, FolderView, SearchView, VersionsView } from '../protocol/browse.ts';
import type {
  BucketView,
  ConnectionView,
  JobCard,
  JobView,
  SettingsView,
  SourceFolders,
  SourceView,
} from '../protocol/job.ts';
import type { Overwrite } from '../protocol/run-options.ts';
import type { DrillView, RunFileTotals, RunFileView } from '../protocol/proofs.ts';
import type { EventView, PointView, ProgressView, RunView, ValidationStatusField } from '../protocol/run.ts';
import type { DeletedJobView, JudgedPointView, RetentionPreview } from '../protocol/retention.ts';
import type { ConnectionSummary, DriveItem, ProviderSummary } from '../protocol/sources.ts';
import type { DriveQuery } from '../sources/oauth/drive-folders.ts';
import type { ProviderName } from '../sources/oauth/providers.ts';
import type { RetentionInput } from './retention-change.ts';
import type { BrowseSourceRequest, ConnectionRequest, JobChanges, NewJob } from '../protocol/job-input.ts';

/**
 * Everything that may be done in the name of one client. The objects are bound to its number when they are made, so there is no
 * way to name another client; an identifier of somebody else is answered exactly like one that does not exist.
 */
export interface ClientServices {
  readonly clientId: number;
  readonly jobs: JobService;
  readonly runs: RunService;
  readonly points: PointService;
  readonly retention: RetentionService;
  readonly proofs: ProofService;
  readonly browse: BrowseService;
  readonly recovery: RecoveryService;
  readonly buckets: { list(): Promise<BucketView[]> };
  readonly settings: SettingsService;
  readonly connections: ConnectionService;
  readonly sources: ConnectedSources;
  /** `suspended`: nothing runs, and everything can be looked at and restored. */
  serviceState(): Promise<ServiceState>;
  /** IANA zone for times and strips: the client's default, else the host's. */
  timezone(): Promise<string>;
}

export interface ListPage<Row> {
  readonly rows: Row[];
  /** `cursor` of the next page, null at the end. */
  readonly next: string | null;
}

export interface JobService {
  /** Oldest first, deleted ones left out. */
  list(query?: { cursor?: string | undefined; limit?: number | undefined }): Promise<ListPage<JobCard>>;
  /** @throws BackupError `JOB_NOT_FOUND` */
  get(jobId: string): Promise<{ job: JobView; source: SourceView }>;
  /** As in `list`: with its last run and its strip, for the job's own page. @throws BackupError `JOB_NOT_FOUND` */
  card(jobId: string): Promise<JobCard>;
  /** @throws BackupError `INVALID_INPUT`, `BUCKET_NOT_FOUND`, `PREFIX_TAKEN`, `SOURCE_IS_DESTINATION`, `HOST_NOT_ALLOWED`, `ERR_HOST_UNKNOWN`, `ERR_SOURCE_CONFIG`, `ERR_NOT_AVAILABLE`, `SERVICE_SUSPENDED` */
  create(job: NewJob): Promise<{ jobId: string }>;
  /** Absent fields stay; blank secrets keep what is stored. @throws as `create`, `JOB_NOT_FOUND`, `LAYOUT_FIXED` */
  update(jobId: string, changes: JobChanges): Promise<void>;
  /**
   * `keep`: data and prefix stay. `delete`: the data goes when its grace is over (`dataDeleteAt`, epoch milliseconds), also that of a
   * job which was deleted before with its data kept; the prefix is free when it is gone.
   * @throws BackupError `JOB_NOT_FOUND`, `ALREADY_RUNNING`
   */
  delete(
    jobId: string,
    data?: 'keep' | 'delete',
  ): Promise<{ prefix: string; bucket: string; dataDeleteAt: number | null }>;
  /** Trusts the SFTP host key that was seen and refused. @throws BackupError `JOB_NOT_FOUND`, `CONFLICT` (another key meanwhile, or none) */
  acceptHostKey(jobId: string, fingerprint: string): Promise<void>;
  /** Lets retention go on after a brake. @throws BackupError `JOB_NOT_FOUND` */
  releaseBrake(jobId: string): Promise<{ released: boolean }>;
}

export interface RunService {
  /** @throws BackupError `JOB_NOT_FOUND`, `JOB_PAUSED`, `ALREADY_RUNNING`, `SERVICE_SUSPENDED` */
  start(jobId: string, options?: { allowEmpty?: boolean }): Promise<{ runId: string }>;
  /** @throws BackupError `RUN_NOT_FOUND`, `RUN_NOT_CANCELLABLE` */
  cancel(runId: string, options?: { force?: boolean }): Promise<{ status: 'cancelled' | 'stopping' }>;
  /** @throws BackupError `RUN_NOT_FOUND` */
  progress(runId: string): Promise<ProgressView>;
  /** @throws BackupError `RUN_NOT_FOUND` */
  get(runId: string): Promise<RunView>;
  /** Ascending. @throws BackupError `RUN_NOT_FOUND` */
  events(runId: string, query: { sinceId: number; limit: number }): Promise<EventView[]>;
  /** Newest first; of one job or of all. @throws BackupError `JOB_NOT_FOUND` */
  list(query: {
    jobId?: string | undefined;
    cursor?: string | undefined;
    limit?: number | undefined;
  }): Promise<ListPage<RunView>>;
  /**
   * Queues a restore, also while the service is suspended.
   * @throws BackupError `POINT_NOT_FOUND`, `JOB_NOT_FOUND`, `BUCKET_NOT_FOUND`, `ERR_RESTORE_TARGET`, `ERR_DECRYPT_SOURCE_CONFIG`, `CONFLICT`
   */
  restore(request: RestoreRequest): Promise<{ runId: string }>;
}

export interface RestoreRequest {
  /** One point, or the newest one of a job that is not later than a moment (epoch milliseconds). */
  readonly from: { readonly pointId: string } | { readonly jobId: string; readonly moment: number };
  /** Files and folders of the point, by their paths; none = all of it. */
  readonly paths: readonly string[];
  /** A folder of one of the client's buckets outside of every backup, or the source that the job backs up. */
  readonly target:
    { readonly kind: 'bucket'; readonly bucketId: number; readonly prefix: string } | { readonly kind: 'source' };
  readonly overwrite: Overwrite;
  /** Only counts what would be done. */
  readonly dryRun: boolean;
}

export interface RetentionService {
  /**
   * What a retention would do to the points as they are now; without one, what waits or is in force.
   * @throws BackupError `JOB_NOT_FOUND`, `INVALID_INPUT`
   */
  preview(jobId: string, retention: RetentionInput): Promise<RetentionPreview>;
  /** Every point that is not gone, the newest first, and what retention makes of it. @throws BackupError `JOB_NOT_FOUND` */
  history(jobId: string): Promise<PointHistory>;
  /** @throws BackupError `POINT_NOT_FOUND` */
  pin(pointId: string): Promise<void>;
  /** @throws BackupError `POINT_NOT_FOUND` */
  unpin(pointId: string): Promise<void>;
  /** Takes back a retention that waits for its cool-off. @throws BackupError `JOB_NOT_FOUND` */
  undo(jobId: string): Promise<{ undone: boolean }>;
  /** For how long a deleted job can be brought back before its data goes, in milliseconds. */
  graceMs(): Promise<number>;
  /** Deleted jobs whose data is not gone yet, the youngest first. */
  deleted(query?: { cursor?: string | undefined; limit?: number | undefined }): Promise<ListPage<DeletedJobView>>;
  /** Brings a deleted job back, paused, with all its points. @throws BackupError `JOB_NOT_FOUND`, `DATA_BEING_DELETED`, `SERVICE_SUSPENDED` (terminated) */
  undelete(jobId: string): Promise<void>;
}

export interface PointHistory {
  /** `goes_at`: by its age, or when the retention that waits comes into force. While retention is frozen all are kept, for `frozen`. */
  readonly points: JudgedPointView[];
  readonly stored_bytes: number;
}

export interface PointService {
  /** Kept ones, newest first. @throws BackupError `JOB_NOT_FOUND` */
  list(query: { jobId: string; cursor?: string | undefined; limit?: number | undefined }): Promise<ListPage<PointView>>;
  /** @throws BackupError `POINT_NOT_FOUND` */
  get(pointId: string): Promise<PointView>;
}

/** Looks into restore points. Every method also throws what reading throws (`readingErrors`). */
export interface BrowseService {
  /** The newest kept point of a job that is not later than this moment (epoch milliseconds). @throws BackupError `JOB_NOT_FOUND`, `POINT_NOT_FOUND` */
  pointAt(jobId: string, moment: number): Promise<{ pointId: string }>;
  /** @throws BackupError `POINT_NOT_FOUND`, `PATH_NOT_FOUND`, `INVALID_INPUT` (cursor) */
  folder(query: { pointId: string; folder: string; cursor?: string | undefined; limit: number }): Promise<FolderView>;
  /** @throws BackupError as `folder` */
  search(query: {
    pointId: string;
    text: string;
    folder: string;
    cursor?: string | undefined;
    limit: number;
  }): Promise<SearchView>;
  /** @throws BackupError `JOB_NOT_FOUND`, `PATH_NOT_FOUND` */
  versions(query: { jobId: string; path: string; cursor?: string | undefined; limit: number }): Promise<VersionsView>;
  /** What is different in the point `pointId` against `otherId`, of the same job. @throws BackupError `POINT_NOT_FOUND`, `INVALID_INPUT` */
  compare(query: {
    pointId: string;
    otherId: string;
    folder: string;
    cursor?: string | undefined;
    limit: number;
  }): Promise<ComparisonView>;
  /**
   * Holds the point, writes the audit log, and gives out a body that reads the bucket while it is read. `close` must be called.
   * @throws BackupError `POINT_NOT_FOUND`, `PATH_NOT_FOUND`, `TOO_MANY_DOWNLOADS`, `DOWNLOAD_TOO_LARGE`, `INVALID_INPUT`
   */
  download(request: {
    pointId: string;
    paths: readonly string[];
    format: ArchiveFormat | 'file';
  }): Promise<PointDownload>;
}

export interface PointDownload {
  readonly fileName: string;
  readonly contentType: string;
  /** Bytes, where they are known before. */
  readonly length: number | null;
  body(signal: AbortSignal): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** The keys of encrypted jobs, for restores without this system. */
export interface RecoveryService {
  /** What confirms that it is the customer who asks: its password, or the name of the job typed once more. */
  readonly confirmation: 'password' | 'job_name';
  /** The job whose kit it would be, also one that is deleted. @throws BackupError `JOB_NOT_FOUND`, `NOT_ENCRYPTED` */
  about(jobId: string): Promise<{
    readonly name: string;
    readonly bucket: string;
    readonly prefix: string;
    /** When a kit was first downloaded, epoch milliseconds. */
    readonly kitAt: number | null;
    readonly deleted: boolean;
  }>;
  /**
   * A zip. @throws BackupError `JOB_NOT_FOUND`, `NOT_ENCRYPTED`, `CONFIRMATION_FAILED`, `RATE_LIMITED` (confirmed wrongly too often),
   * `ERR_CRYPT_KEYS_MISSING`, and what opening secrets throws
   */
  kit(jobId: string, confirmation: string): Promise<PointDownload>;
}

/** Validations, restore tests, and the reports of runs. */
export interface ProofService {
  /** Of the newest point, or of another one of the job. @throws BackupError `JOB_NOT_FOUND`, `POINT_NOT_FOUND`, `ALREADY_RUNNING`, `SERVICE_SUSPENDED` */
  startValidation(jobId: string, options?: { pointId?: string | undefined }): Promise<{ runId: string }>;
  /** @throws BackupError `JOB_NOT_FOUND`, `POINT_NOT_FOUND`, `ALREADY_RUNNING`, `SERVICE_SUSPENDED` */
  startDrill(jobId: string): Promise<{ runId: string }>;
  /** The run of the last validation that came to a result, or null. @throws BackupError `JOB_NOT_FOUND` */
  lastValidation(jobId: string): Promise<string | null>;
  /** Newest first; of one job or of all. @throws BackupError `JOB_NOT_FOUND` */
  drills(query: {
    jobId?: string | undefined;
    cursor?: string | undefined;
    limit?: number | undefined;
  }): Promise<ListPage<DrillView>>;
  /** `not_run`, `running`, or how the validation of this run ended, with a few lines of its log. @throws BackupError `RUN_NOT_FOUND` */
  validationOf(runId: string): Promise<{ status: ValidationStatusField; excerpt: string | null }>;
  /** Files of a run that were not as they should be, after the row `after`. @throws BackupError `RUN_NOT_FOUND` */
  files(runId: string, query: RunFilesQuery): Promise<{ rows: RunFileView[]; next: number | null }>;
  /** @throws BackupError `RUN_NOT_FOUND` */
  fileTotals(runId: string): Promise<RunFileTotals>;
  /** All of them, read page by page. @throws BackupError `RUN_NOT_FOUND`, with the first one */
  allFiles(runId: string, query: Pick<RunFilesQuery, 'kind' | 'text'>): AsyncIterable<RunFileView>;
}

export interface RunFilesQuery {
  readonly kind?: RunFileView['kind'] | undefined;
  /** Part of the path. */
  readonly text?: string | undefined;
  readonly after?: number | undefined;
  readonly limit?: number | undefined;
}

export interface SettingsService {
  get(): Promise<SettingsView>;
  /** What is absent stays. @throws BackupError `INVALID_INPUT` */
  update(changes: { readonly [Name in keyof SettingsView]?: SettingsView[Name] | undefined }): Promise<void>;
}

export interface ConnectionService {
  /**
   * Has a worker look whether the source answers; writes nothing anywhere.
   * @throws BackupError `NO_WORKER`, `COMMAND_TIMEOUT`, `JOB_NOT_FOUND`, and what `jobs.create` throws about a source
   */
  test(request: ConnectionRequest): Promise<ConnectionView>;
  /**
   * Has a worker list the folders in one folder of the source; writes nothing anywhere.
   * @throws BackupError as `test`, and the code of whatever is wrong with the source
   */
  browse(request: BrowseSourceRequest): Promise<SourceFolders>;
}

/** Accounts at Google and Dropbox that the client has connected. */
export interface ConnectedSources {
  /** `providers`: those that could be connected, and whether the operator has set them up. */
  list(query?: {
    provider?: string | undefined;
  }): Promise<{ sources: ConnectionSummary[]; providers: ProviderSummary[] }>;
  /**
   * Where the browser goes to give the authorization: for a new connection, or again for `sourceId`.
   * @throws BackupError `SOURCE_NOT_FOUND`, `OAUTH_NO_ADDRESS`, `ERR_GDRIVE_NO_CLIENT_CREDENTIALS`, `ERR_DROPBOX_NO_CLIENT_CREDENTIALS`
   */
  begin(request: { provider: ProviderName | undefined; sourceId: string | undefined }): Promise<{ url: string }>;
  /**
   * Takes what the browser brought back. `code` null: the person declined.
   * @throws BackupError `OAUTH_STATE_INVALID`, `OAUTH_REFUSED`, `OAUTH_SCOPE_MISSING`, `OAUTH_NO_REFRESH_TOKEN`, `OAUTH_OTHER_ACCOUNT`, `ERR_NETWORK`
   */
  finish(request: { state: string; code: string | null }): Promise<{ sourceId: string; isNew: boolean }>;
  /** Forgets the authorization, and takes it back at the service where that answers. @throws BackupError `SOURCE_NOT_FOUND` */
  disconnect(sourceId: string): Promise<{ withdrawn: boolean }>;
  /** Shared drives, or what lies in a folder. @throws BackupError `SOURCE_NOT_FOUND`, `SOURCE_NOT_CONNECTED`, `PATH_NOT_FOUND`, `ERR_RATE_LIMIT` … */
  driveItems(sourceId: string, query: DriveQuery): Promise<{ items: DriveItem[]; nextPageToken: string | null }>;
}
