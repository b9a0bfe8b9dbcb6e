import { UNTOUCHED, type ErrorEntry } from '../entry.ts';

/** How runs end that nothing else ended. */
export const runErrors = {
  ERR_SLOT_OVERLAP: {
    what: 'The scheduled run was skipped because the run before it was still active.',
    data: UNTOUCHED,
    action: 'Nothing, if it happens rarely; otherwise schedule the job less often.',
  },
  ERR_SLOT_MISSED: {
    what: 'The scheduled run was skipped because it was missed and the job does not catch up.',
    data: UNTOUCHED,
    action: 'Start a run by hand, or let the job catch up missed runs.',
  },
  ERR_SCHEDULE_INVALID: {
    what: 'The schedule of the job is not valid, so no further runs are planned.',
    data: UNTOUCHED,
    action: 'Open the job and save its schedule again.',
  },
  ERR_WORKER_LOST: {
    what: 'The worker that carried out the run was lost, and no attempts are left.',
    data: UNTOUCHED,
    action: 'Run the job again; if it happens again, tell the support team.',
  },
  ERR_QUEUE_EXPIRED: {
    what: 'The run waited too long for a worker or agent.',
    data: UNTOUCHED,
    action: 'Check that a worker is running.',
  },
  ERR_AGENT_OFFLINE: {
    what: 'The agent of this job was offline for too long.',
    data: UNTOUCHED,
    action: 'Check that the computer is on and its agent is running, then run the job again.',
  },
  ERR_CANCELLED: { what: 'The run was cancelled.', data: UNTOUCHED, action: 'Run the job again when you want to.' },
  ERR_RCLONE_START: {
    what: 'The transfer program could not be started.',
    data: UNTOUCHED,
    action: 'An operator runs bin/worker --check on the worker.',
  },
  ERR_RCLONE_KILLED: {
    what: 'The transfer program was ended from outside.',
    data: UNTOUCHED,
    action: 'The run is tried again. If it stays, check the memory of the worker.',
    transient: true,
  },
  ERR_TRANSFER: {
    what: 'The transfer failed.',
    data: UNTOUCHED,
    action: 'Look at the events of the run, then run the job again.',
    transient: true,
  },
  ERR_LEASE_LOST: {
    what: 'The worker lost its lease on the run, so it stopped.',
    data: UNTOUCHED,
    action: 'Nothing: another worker carries on.',
  },
  ERR_WORKER_STOPPING: {
    what: 'The worker is being stopped and hands the run back.',
    data: UNTOUCHED,
    action: 'Nothing: another worker carries on.',
  },
  ERR_YIELDED: {
    what: 'Maintenance made way for a backup.',
    data: UNTOUCHED,
    action: 'Nothing: it continues by itself.',
  },
  ERR_DISK_FULL: {
    what: 'The disk is full.',
    data: UNTOUCHED,
    action: 'Free space in the folder that is named, or on the server that files are restored to, then start again.',
  },
  ERR_INTERNAL: {
    what: 'The run met an unexpected error.',
    data: UNTOUCHED,
    action: 'Run the job again; if it stays, tell the support team the number of the run.',
  },
} as const satisfies Record<string, ErrorEntry>;
