/** What is to be known of one error code. */
export interface ErrorEntry {
  /** HTTP status when the API answers with it. Absent: the code appears on runs or in a terminal only. */
  readonly status?: number;
  /** What happened, as one sentence. */
  readonly what: string;
  /** What it means for data that is already backed up, as one sentence. */
  readonly data: string;
  /** What to do, as one or two sentences. */
  readonly action: string;
  /** A run that failed with it is tried again by itself, up to the job's limit. */
  readonly transient?: true;
}

export const UNTOUCHED = 'Nothing that was already backed up is affected.';
export const NOTHING_CHANGED = 'Nothing was changed.';
