import type { Endpoint } from '../src/http/endpoint.ts';
import adminForceStop from './admin_force_stop.ts';
import adminListRuns from './admin_list_runs.ts';
import adminListWorkers from './admin_list_workers.ts';
import bucketList from './bucket_list.ts';
import cloudbackupAcceptHostKey from './cloudbackup_accept_host_key.ts';
import cloudbackupCancelRun from './cloudbackup_cancel_run.ts';
import cloudbackupCreateJob from './cloudbackup_create_job.ts';
import cloudbackupDeleteJob from './cloudbackup_delete_job.ts';
import cloudbackupGetJob from './cloudbackup_get_job.ts';
import cloudbackupGetRunEvents from './cloudbackup_get_run_events.ts';
import cloudbackupGetSettings from './cloudbackup_get_settings.ts';
import cloudbackupListJobs from './cloudbackup_list_jobs.ts';
import cloudbackupListPoints from './cloudbackup_list_points.ts';
import cloudbackupListRuns from './cloudbackup_list_runs.ts';
import cloudbackupProgress from './cloudbackup_progress.ts';
import cloudbackupReleaseBrake from './cloudbackup_release_brake.ts';
import cloudbackupStartRestore from './cloudbackup_start_restore.ts';
import cloudbackupStartRun from './cloudbackup_start_run.ts';
import cloudbackupTestConnection from './cloudbackup_test_connection.ts';
import cloudbackupUpdateJob from './cloudbackup_update_job.ts';
import cloudbackupUpdateSettings from './cloudbackup_update_settings.ts';

/** Every endpoint of the API. Routes, docs/api.md and the isolation suite are made from this list. */
export const endpoints: readonly Endpoint[] = [
  adminForceStop,
  adminListRuns,
  adminListWorkers,
  bucketList,
  cloudbackupAcceptHostKey,
  cloudbackupCancelRun,
  cloudbackupCreateJob,
  cloudbackupDeleteJob,
  cloudbackupGetJob,
  cloudbackupGetRunEvents,
  cloudbackupGetSettings,
  cloudbackupListJobs,
  cloudbackupListPoints,
  cloudbackupListRuns,
  cloudbackupProgress,
  cloudbackupReleaseBrake,
  cloudbackupStartRestore,
  cloudbackupStartRun,
  cloudbackupTestConnection,
  cloudbackupUpdateJob,
  cloudbackupUpdateSettings,
];
