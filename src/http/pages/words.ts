import { formatDate } from '../dates.ts';

/** What pages say in words. Pure; times are given with the zone in which they are told. */

/** `1 file`, `1,204 files`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${value.toLocaleString('en')} ${value === 1 ? one : many}`;
}

/** For "since …": the hour of today, the weekday within the last week, else the date. */
export function sinceText(at: number, now: number, timezone: string): string {
  if (dateIn(at, timezone) === dateIn(now, timezone)) return formatDate(at, 'hour', timezone);
  return formatDate(at, now - at < 6 * 86_400_000 ? 'weekday' : 'date', timezone);
}

/** `2025-11-04`. */
export function dateIn(at: number, timezone: string): string {
  return formatDate(at, 'iso', timezone);
}

/** Whole percent that is never 100 before the end and never 0 once something was done; null while the total is not known. */
export function percentOf(done: number, total: number): number | null {
  if (total <= 0) return null;
  if (done >= total) return 100;
  const exact = (done / total) * 100;
  return exact > 0 && exact < 1 ? 1 : Math.floor(exact);
}

/** Names of source types for people. */
export function sourceKind(type: string): string {
  return sourceKinds[type] ?? type;
}

const sourceKinds: Readonly<Record<string, string>> = {
  s3_compatible: 'S3',
  aws: 'AWS S3',
  sftp: 'SFTP',
  google_drive: 'Google Drive',
  dropbox: 'Dropbox',
  smb: 'SMB',
  nas: 'NAS',
  webdav: 'WebDAV',
};

/** How the backups of a job lie in the bucket. */
export function storedText(job: { readonly backup_mode: string; readonly encryption_enabled: boolean }): string {
  const how =
    job.backup_mode === 'archive'
      ? 'One compressed archive each run, which holds everything'
      : 'File by file, only what is new or changed';
  return job.encryption_enabled ? `${how}; encrypted` : how;
}

/** `bucket/prefix` as one line. */
export function destinationText(bucket: string, prefix: string): string {
  return prefix === '' ? bucket : `${bucket}/${prefix}`;
}
