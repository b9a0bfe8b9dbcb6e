import type { Page } from '../page.ts';
import { adminPage } from './admin.ts';
import { deletedJobsPage } from './deleted-jobs.ts';
import { editJobPage, newJobPage, nextRunsPage } from './job-form.ts';
import { deleteJobPage, jobPage } from './job.ts';
import { jobsPage } from './jobs.ts';
import { recoveryKitPage } from './recovery-kit.ts';
import { restoreJobPage, restorePage } from './restore.ts';
import { runPage } from './run.ts';
import { runsPage } from './runs.ts';
import { retentionPreviewPage } from './retention.ts';
import { settingsPage } from './settings.ts';
import { dropboxCallbackPage, googleCallbackPage, sourcesPage } from './sources.ts';

/** Every page of the portal, in the order of the navigation. */
export const pages: readonly Page[] = [
  jobsPage,
  newJobPage,
  nextRunsPage,
  retentionPreviewPage,
  deletedJobsPage,
  jobPage,
  editJobPage,
  deleteJobPage,
  recoveryKitPage,
  runsPage,
  runPage,
  restorePage,
  restoreJobPage,
  sourcesPage,
  googleCallbackPage,
  dropboxCallbackPage,
  settingsPage,
  adminPage,
];
