/**
 * The time of a file as rclone records it in an object's metadata, in epoch milliseconds, or null. Seconds with a fraction, or RFC
 * 3339 where the source gave it so.
 */
export function objectTime(metadata: Readonly<Record<string, string>>): number | null {
  const text = metadata['mtime'];
  if (text === undefined) return null;
  const time = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) * 1_000 : Date.parse(text);
  return Number.isFinite(time) ? time : null;
}

/** MD5 in hex that rclone records beside an object which was uploaded in parts, or null. */
export function recordedMd5(metadata: Readonly<Record<string, string>>): string | null {
  const text = metadata['md5chksum'];
  const bytes = text === undefined ? null : Buffer.from(text, 'base64');
  return bytes?.length === 16 ? bytes.toString('hex') : null;
}
