import type { BucketView, ConnectionView, JobCard, JobView, SettingsView, SourceView } from '../protocol/job.ts';
import type { EventView, PointView, ProgressView, RunView } from '../protocol/run.ts';
import type { ConnectionRequest, JobChanges, NewJob } from '../protocol/job-input.ts';

/**
 * Everything that may be done in the name of one client. The objects are bound to its number when they are made, so there is no
 * way to name another client; an identifier of somebody else is answered exactly like one that does not exist.
 */
export interface ClientServices {
  readonly clientId: number;
  readonly jobs: JobService;
  readonly runs: RunService;
  readonly points: PointService;
  readonly buckets: { list(): Promise<BucketView[]> };
  readonly settings: SettingsService;
  readonly connections: ConnectionService;
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
  /** The data and the prefix stay. @throws BackupError `JOB_NOT_FOUND`, `ALREADY_RUNNING` */
  delete(jobId: string): Promise<{ prefix: string; bucket: string }>;
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
  /** @throws BackupError `POINT_NOT_FOUND`, `BUCKET_NOT_FOUND`, `ERR_RESTORE_TARGET` */
  restore(request: {
    pointId: string;
    /** Folder of the point, '' = all of it. */
    folder: string;
    bucketId: number;
    prefix: string;
  }): Promise<{ runId: string }>;
}

export interface PointService {
  /** Kept ones, newest first. @throws BackupError `JOB_NOT_FOUND` */
  list(query: { jobId: string; cursor?: string | undefined; limit?: number | undefined }): Promise<ListPage<PointView>>;
  /** @throws BackupError `POINT_NOT_FOUND` */
  get(pointId: string): Promise<PointView>;
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
}
