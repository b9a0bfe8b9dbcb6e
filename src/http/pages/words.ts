/** What pages say in words. Pure; times are given with the zone in which they are told. */

/** `1 file`, `1,204 files`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${value.toLocaleString('en')} ${value === 1 ? one : many}`;
}

/** For "since …": the hour of today, the weekday within the last week, else the date. */
export function sinceText(at: number, now: number, timezone: string): string {
  const show = (options: Intl.DateTimeFormatOptions): string =>
    new Intl.DateTimeFormat('en-GB', { ...options, timeZone: timezone }).format(at);
  const day = (time: number): string => new Intl.DateTimeFormat('en-CA', { timeZone: timezone }).format(time);
  if (day(at) === day(now)) return show({ hour: '2-digit', minute: '2-digit' });
  if (now - at < 6 * 86_400_000) return show({ weekday: 'long' });
  return show({ day: 'numeric', month: 'short', year: 'numeric' });
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
};

/** `bucket/prefix` as one line. */
export function destinationText(bucket: string, prefix: string): string {
  return prefix === '' ? bucket : `${bucket}/${prefix}`;
}
