import type { Endpoint } from '../src/http/endpoint.ts';
import adminForceStop from './admin_force_stop.ts';
import adminListRuns from './admin_list_runs.ts';
import adminListWorkers from './admin_list_workers.ts';
import bucketList from './bucket_list.ts';
import cloudbackupAcceptHostKey from './cloudbackup_accept_host_key.ts';
import cloudbackupBrowseSnapshot from './cloudbackup_browse_snapshot.ts';
import cloudbackupBrowseSource from './cloudbackup_browse_source.ts';
import cloudbackupCancelRun from './cloudbackup_cancel_run.ts';
import cloudbackupCompareSnapshots from './cloudbackup_compare_snapshots.ts';
import cloudbackupConnectSource from './cloudbackup_connect_source.ts';
import cloudbackupCreateJob from './cloudbackup_create_job.ts';
import cloudbackupDeleteJob from './cloudbackup_delete_job.ts';
import cloudbackupDisconnectSource from './cloudbackup_disconnect_source.ts';
import cloudbackupDownload from './cloudbackup_download.ts';
import cloudbackupFileVersions from './cloudbackup_file_versions.ts';
import cloudbackupDownloadRunFiles from './cloudbackup_download_run_files.ts';
import cloudbackupFinishSource from './cloudbackup_finish_source.ts';
import cloudbackupGdriveList from './cloudbackup_gdrive_list.ts';
import cloudbackupGetJob from './cloudbackup_get_job.ts';
import cloudbackupGetRunEvents from './cloudbackup_get_run_events.ts';
import cloudbackupGetSettings from './cloudbackup_get_settings.ts';
import cloudbackupListDeletedJobs from './cloudbackup_list_deleted_jobs.ts';
import cloudbackupListDrills from './cloudbackup_list_drills.ts';
import cloudbackupListJobs from './cloudbackup_list_jobs.ts';
import cloudbackupListPoints from './cloudbackup_list_points.ts';
import cloudbackupListSources from './cloudbackup_list_sources.ts';
import cloudbackupListRunFiles from './cloudbackup_list_run_files.ts';
import cloudbackupListRuns from './cloudbackup_list_runs.ts';
import cloudbackupPinPoint from './cloudbackup_pin_point.ts';
import cloudbackupPreviewRetention from './cloudbackup_preview_retention.ts';
import cloudbackupListSnapshots from './cloudbackup_list_snapshots.ts';
import cloudbackupProgress from './cloudbackup_progress.ts';
import cloudbackupRecoveryKit from './cloudbackup_recovery_kit.ts';
import cloudbackupReleaseBrake from './cloudbackup_release_brake.ts';
import cloudbackupSearchSnapshot from './cloudbackup_search_snapshot.ts';
import cloudbackupStartDrill from './cloudbackup_start_drill.ts';
import cloudbackupStartRestore from './cloudbackup_start_restore.ts';
import cloudbackupStartRun from './cloudbackup_start_run.ts';
import cloudbackupStartValidation from './cloudbackup_start_validation.ts';
import cloudbackupTestConnection from './cloudbackup_test_connection.ts';
import cloudbackupUndeleteData from './cloudbackup_undelete_data.ts';
import cloudbackupUndoRetention from './cloudbackup_undo_retention.ts';
import cloudbackupUnpinPoint from './cloudbackup_unpin_point.ts';
import cloudbackupUpdateJob from './cloudbackup_update_job.ts';
import cloudbackupUpdateSettings from './cloudbackup_update_settings.ts';

/** Every endpoint of the API. Routes, docs/api.md and the isolation suite are made from this list. */
export const endpoints: readonly Endpoint[] = [
  adminForceStop,
  adminListRuns,
  adminListWorkers,
  bucketList,
  cloudbackupAcceptHostKey,
  cloudbackupBrowseSnapshot,
  cloudbackupBrowseSource,
  cloudbackupCancelRun,
  cloudbackupCompareSnapshots,
  cloudbackupConnectSource,
  cloudbackupCreateJob,
  cloudbackupDeleteJob,
  cloudbackupDisconnectSource,
  cloudbackupDownload,
  cloudbackupFileVersions,
  cloudbackupDownloadRunFiles,
  cloudbackupFinishSource,
  cloudbackupGdriveList,
  cloudbackupGetJob,
  cloudbackupGetRunEvents,
  cloudbackupGetSettings,
  cloudbackupListDeletedJobs,
  cloudbackupListDrills,
  cloudbackupListJobs,
  cloudbackupListPoints,
  cloudbackupListRunFiles,
  cloudbackupListRuns,
  cloudbackupListSnapshots,
  cloudbackupListSources,
  cloudbackupPinPoint,
  cloudbackupPreviewRetention,
  cloudbackupProgress,
  cloudbackupRecoveryKit,
  cloudbackupReleaseBrake,
  cloudbackupSearchSnapshot,
  cloudbackupStartDrill,
  cloudbackupStartRestore,
  cloudbackupStartRun,
  cloudbackupStartValidation,
  cloudbackupTestConnection,
  cloudbackupUndeleteData,
  cloudbackupUndoRetention,
  cloudbackupUnpinPoint,
  cloudbackupUpdateJob,
  cloudbackupUpdateSettings,
];
