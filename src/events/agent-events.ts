import { z } from 'zod';
import { define } from './define.ts';
import { fileProblemReason } from './file-problems.ts';

const count = z.number().nonnegative();
const none = z.object({});
const text = z.string();
const failed = z.object({ error: text });
const endpoint = z.object({ host: text, port: z.number() });
const place = z.object({ source: text, bucket: text, prefix: text });
const manifest = z.object({ manifest_id: text });

/** Restores of every kind. */
export const restoreEvents = {
  RESTORE_QUEUED: define(
    'info',
    'info',
    z.object({ manifest_id: text.optional(), target_path: text.optional() }),
    'Restore queued.',
  ),
  RESTORE_STARTING: define('start', 'info', z.object({ target_path: text.optional() }), (p, show) =>
    p.target_path === undefined ? 'Restore starting.' : `Restore to ${show.path(p.target_path)} starting.`,
  ),
  RESTORE_PROGRESS: define(
    'progress',
    'info',
    z.object({ files_restored: count, dirs_restored: count.optional(), bytes_restored: count }),
    'Restored {files_restored:count} files ({bytes_restored:bytes}).',
  ),
  RESTORE_COMPLETED: define('summary', 'info', z.object({ target_path: text.optional() }), (p, show) =>
    p.target_path === undefined ? 'Restore completed.' : `Restore completed to ${show.path(p.target_path)}.`,
  ),
  RESTORE_COMPLETED_WARNING: define('summary', 'warn', z.object({ target_path: text.optional() }), (p, show) =>
    p.target_path === undefined
      ? 'Restore completed with warnings.'
      : `Restore completed to ${show.path(p.target_path)} with warnings.`,
  ),
  RESTORE_DRY_RUN: define(
    'summary',
    'info',
    z.object({
      created: count,
      overwritten: count,
      skipped: count,
      bytes: count,
      target_path: text.optional(),
    }),
    (p, show) =>
      `Nothing was written. A restore would write ${show.many(p.created, 'new file')}, ` +
      `overwrite ${show.many(p.overwritten, 'file')} and leave ${show.many(p.skipped, 'file')} as ${p.skipped === 1 ? 'it is' : 'they are'}: ` +
      `${show.bytes(p.bytes)} in all.`,
  ),
  RESTORE_VERIFIED: define(
    'info',
    'info',
    z.object({ files: count }),
    (p, show) => `Compared ${show.many(p.files, 'restored file')} by checksum: as backed up.`,
  ),
  RESTORE_SIZE_ONLY: define(
    'warning',
    'warn',
    z.object({ files: count }),
    (p, show) => `${show.many(p.files, 'restored file')} could be compared by size only, because no checksum is known.`,
  ),
  RESTORE_SKIPPED: define(
    'info',
    'info',
    z.object({ files: count }),
    (p, show) =>
      `${show.many(p.files, 'file')} that lay at the target ${p.files === 1 ? 'was' : 'were'} left as before.`,
  ),
  RESTORE_CARRIED: define(
    'warning',
    'warn',
    z.object({ files: count }),
    (p, show) =>
      `${show.many(p.files, 'file')} ${p.files === 1 ? 'is' : 'are'} of an earlier version: the source could not be read at the time of this restore point.`,
  ),
  RESTORE_PROBLEMS: define(
    'warning',
    'warn',
    z.object({ problems: z.array(z.object({ path: text, code: text })).readonly(), total: count }),
    (p, show) =>
      [
        `${show.many(p.total, 'file')} could not be restored as backed up.`,
        ...p.problems.map(({ path, code }) => `${show.file(path)}: ${fileProblemReason(code)}.`),
      ].join('\n'),
  ),
  RESTORE_MISMATCH: define(
    'error',
    'error',
    z.object({ path: text }),
    '{path:file}: differs from what was backed up.',
    () => 'ERR_RESTORE_MISMATCH',
  ),
  RESTORE_FAILED: define(
    'summary',
    'error',
    z.object({ error: text.optional(), code: z.string().max(128).optional() }),
    (p, show) => (p.error ? `Restore failed: ${show.text(p.error)}` : 'Restore failed.'),
    (p) => p.code,
  ),
  RESTORE_CANCELLED: define('cancelled', 'warn', none, 'Restore cancelled.'),
};

/** What the agent's engine tells. The ids are the contract's; no text names the engine. */
export const kopiaEvents = {
  KOPIA_STAGE: define('info', 'info', z.object({ stage: text }), 'Stage: {stage:text}.'),
  KOPIA_POLICY: define(
    'info',
    'info',
    z.object({ compression: text.optional(), parallel_uploads: count.optional() }),
    (p, show) =>
      `Policy: compression ${show.text(p.compression ?? 'none')}, ${show.many(p.parallel_uploads ?? 1, 'parallel upload')}.`,
  ),
  KOPIA_UPLOAD_START: define(
    'start',
    'info',
    place,
    'Starting upload from {source:path} to {bucket:text}/{prefix:path}.',
  ),
  KOPIA_UPLOAD_COMPLETE: define('info', 'info', none, 'Upload completed.'),
  KOPIA_UPLOAD_FINISHED: define('info', 'info', none, 'Upload finished.'),
  KOPIA_UPLOAD_FAILED: define('error', 'error', failed, 'Upload failed: {error:text}'),
  KOPIA_PROGRESS_UPDATE: define(
    'progress',
    'info',
    z.object({
      pct: z.number().optional(),
      bytes_processed: count,
      bytes_uploaded: count,
      bytes_total: count.optional(),
      files_done: count.optional(),
      files_total: count.optional(),
      speed_bps: count.optional(),
      eta_seconds: count.nullable().optional(),
      current: text.optional(),
    }),
    (p, show) =>
      `Processed ${show.bytes(p.bytes_processed)}${p.bytes_total === undefined ? '' : ` of ${show.bytes(p.bytes_total)}`}, ` +
      `uploaded ${show.bytes(p.bytes_uploaded)}${p.speed_bps === undefined ? '' : ` at ${show.speed(p.speed_bps)}`}` +
      `${p.eta_seconds === undefined ? '' : `, ETA ${show.duration(p.eta_seconds)}`}.`,
  ),
  KOPIA_MULTI_SOURCE: define(
    'info',
    'info',
    z.object({ sources: count }),
    (p, show) => `Backing up ${show.many(p.sources, 'source')}.`,
  ),
  KOPIA_SOURCE_ESTIMATE: define(
    'info',
    'info',
    z.object({ files: count, bytes: count }),
    (p, show) => `The source holds about ${show.many(p.files, 'file')}, ${show.bytes(p.bytes)}.`,
  ),
  KOPIA_PREVIOUS_SNAPSHOTS: define('info', 'info', z.object({ snapshots: count.optional() }), (p, show) =>
    p.snapshots === undefined
      ? 'Earlier snapshots were found.'
      : `${show.many(p.snapshots, 'earlier snapshot')} found.`,
  ),
  KOPIA_MANIFEST_RECORDED: define('info', 'info', manifest, 'Snapshot manifest recorded: {manifest_id:id}.'),
  KOPIA_MANIFEST_FALLBACK: define(
    'info',
    'info',
    manifest,
    'Snapshot manifest recovered from repository: {manifest_id:id}.',
  ),
  KOPIA_MANIFEST_MISSING: define(
    'error',
    'error',
    place,
    'Snapshot manifest missing. The upload from {source:path} to {bucket:text}/{prefix:path} cannot be restored.',
  ),
  KOPIA_MANIFEST_UPDATE_FAILED: define('error', 'error', failed, 'Failed to record manifest: {error:text}'),
  KOPIA_UPLOAD_NIL_MANIFEST: define('error', 'error', none, 'The upload returned no snapshot.'),
  KOPIA_SAVE_SNAPSHOT_FAILED: define('error', 'error', failed, 'Failed to save snapshot: {error:text}'),
  KOPIA_SOURCE_EMPTY: define(
    'warning',
    'warn',
    z.object({ source: text }),
    'Source path appears empty: {source:path}.',
  ),
  KOPIA_THROTTLE_SET: define(
    'info',
    'info',
    z.object({ upload_bytes_per_sec: count }),
    'Upload throttled to {upload_bytes_per_sec:speed}.',
  ),
  KOPIA_THROTTLE_FAILED: define('warning', 'warn', failed, 'The upload could not be throttled: {error:text}'),
  KOPIA_RETENTION_START: define('info', 'info', z.object({ keep_last: count.optional() }), (p, show) =>
    p.keep_last === undefined
      ? 'Applying retention policy…'
      : `Applying retention policy: the last ${show.many(p.keep_last, 'snapshot')} kept…`,
  ),
  KOPIA_RETENTION_COMPLETE: define(
    'info',
    'info',
    z.object({ deleted_count: count, keep_last: count.optional() }),
    (p, show) => `Retention applied: ${show.many(p.deleted_count, 'old snapshot')} removed.`,
  ),
  KOPIA_RETENTION_FAILED: define('error', 'error', failed, 'Retention failed: {error:text}'),
  KOPIA_RESTORE_CONNECTING: define(
    'info',
    'info',
    z.object({ bucket: text, prefix: text }),
    'Connecting to the backup in {bucket:text}/{prefix:path}.',
  ),
  KOPIA_RESTORE_LOADING: define('info', 'info', manifest, 'Loading snapshot {manifest_id:id}.'),
  KOPIA_RESTORE_SNAPSHOT_LOADED: define(
    'info',
    'info',
    z.object({ source_path: text, start_time: text.optional() }),
    'Snapshot of {source_path:path} loaded.',
  ),
  KOPIA_RESTORE_STARTED: define('info', 'info', z.object({ target_path: text }), 'Restoring to {target_path:path}.'),
  KOPIA_RESTORE_STATS: define(
    'info',
    'info',
    z.object({ files_restored: count, dirs_restored: count.optional(), bytes_restored: count }),
    'Restored {files_restored:count} files, {bytes_restored:bytes}.',
  ),
};

const maintenance = z.object({ mode: text.optional() });

/** Upkeep, the way to the storage, and the agent itself. */
export const agentEvents = {
  MAINTENANCE_STARTING: define('start', 'info', maintenance, (p, show) =>
    p.mode === undefined ? 'Maintenance starting.' : `Maintenance (${show.text(p.mode)}) starting.`,
  ),
  MAINTENANCE_COMPLETED: define('summary', 'info', maintenance, 'Maintenance completed.'),
  MAINTENANCE_FAILED: define(
    'summary',
    'error',
    maintenance.extend({ error: text.optional(), code: z.string().max(128).optional() }),
    (p, show) => (p.error ? `Maintenance failed: ${show.text(p.error)}` : 'Maintenance failed.'),
    (p) => p.code,
  ),
  MAINTENANCE_CANCELLED: define('cancelled', 'warn', none, 'Maintenance cancelled.'),
  STORAGE_PREFLIGHT_OK: define(
    'info',
    'info',
    endpoint,
    'Storage connectivity check succeeded ({host:text}, port {port:count}).',
  ),
  STORAGE_DNS_FAILED: define(
    'error',
    'error',
    endpoint,
    'The name {host:text} is not known on this computer. Check its DNS settings.',
  ),
  STORAGE_TCP_REFUSED: define(
    'error',
    'error',
    endpoint,
    '{host:text} refuses connections on port {port:count}. Check that the storage service is listening there.',
  ),
  STORAGE_TCP_TIMEOUT: define(
    'error',
    'error',
    endpoint,
    '{host:text} does not answer on port {port:count}. Check that the firewall lets this computer out.',
  ),
  STORAGE_TLS_FAILED: define(
    'error',
    'error',
    endpoint,
    'The certificate of {host:text} could not be verified. Check the clock of this computer and software that inspects encrypted traffic.',
  ),
  STORAGE_HTTP_BLOCKED: define(
    'error',
    'error',
    endpoint,
    'Something between this computer and {host:text} blocks the requests (403). Check proxy and web filter.',
  ),
  STORAGE_ENDPOINT_UNREACHABLE: define(
    'error',
    'error',
    z.object({ summary: text, hint: text.optional() }),
    (p, show) =>
      `Cloud storage endpoint is unreachable: ${show.text(p.summary)}${p.hint ? ` ${show.text(p.hint)}` : ''}`,
  ),
  AGENT_START_FAILURE: define(
    'error',
    'error',
    z.object({ summary: text }),
    'The agent could not start the run: {summary:text}',
  ),
  AGENT_OFFLINE: define(
    'error',
    'error',
    z.object({ last_seen_at: z.number().nullable().optional() }),
    (p, show) =>
      p.last_seen_at === undefined || p.last_seen_at === null
        ? 'The agent has been offline, so the run could not be carried out.'
        : `The agent has been offline since ${show.time(p.last_seen_at)}.`,
    () => 'ERR_AGENT_OFFLINE',
  ),
};
