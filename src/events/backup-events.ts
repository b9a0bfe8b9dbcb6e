import { z } from 'zod';
import { define } from './define.ts';
import { fileProblemReason } from './file-problems.ts';

const count = z.number().nonnegative();
const none = z.object({});
const word = z.string().max(128);
const pathText = z.string();

const freezeReasons = {
  brake: 'unusually many files are gone or changed',
  empty_source: 'the source was empty, which was allowed for this run',
  rolled_forward: 'the run was completed from what lay in the bucket',
} as const;

/** What a cloud backup tells about source, destination and single files; emitted by src/backup. */
export const backupEvents = {
  MARKER_CREATED: define('info', 'info', none, 'The folder in the bucket was marked as this job’s own.'),
  POINT_ADOPTED: define(
    'info',
    'info',
    z.object({ run: word.optional(), claim: word }),
    'A complete restore point of this run was found in the bucket and taken into the list.',
  ),
  ROLLED_FORWARD: define(
    'info',
    'info',
    z.object({ claim: word }),
    'An earlier attempt of this run had written everything. It was completed from what lies in the bucket.',
  ),
  LISTED: define('info', 'info', z.object({ files: count, bytes: count, complete: z.boolean() }), (p, show) =>
    p.complete
      ? `Source listed: ${show.many(p.files, 'file')}, ${show.bytes(p.bytes)}.`
      : `Source listed with gaps: ${show.many(p.files, 'file')}, ${show.bytes(p.bytes)}.`,
  ),
  COMPARED: define(
    'info',
    'info',
    z.object({
      unchanged: count,
      moved: count,
      added: count,
      changed: count,
      deleted: count,
      carried: count,
      files: count,
      bytes: count,
    }),
    (p, show) => {
      const parts = [
        `${show.count(p.added)} new`,
        `${show.count(p.changed)} changed`,
        ...(p.moved > 0 ? [`${show.count(p.moved)} moved`] : []),
        ...(p.deleted > 0 ? [`${show.count(p.deleted)} deleted`] : []),
        ...(p.carried > 0 ? [`${show.count(p.carried)} carried over`] : []),
        `${show.count(p.unchanged)} unchanged`,
      ];
      return `Compared with the last restore point: ${parts.join(', ')}. To copy: ${show.many(p.files, 'file')}, ${show.bytes(p.bytes)}.`;
    },
  ),
  DAMAGED_COPIED_AGAIN: define(
    'info',
    'info',
    z.object({ files: count }),
    (p, show) =>
      `${show.many(p.files, 'file')} whose stored copy was found damaged ${p.files === 1 ? 'is' : 'are'} copied again.`,
  ),
  FILES_REUSED: define(
    'info',
    'info',
    z.object({ files: count, bytes: count }),
    (p, show) =>
      `${show.many(p.files, 'file')} (${show.bytes(p.bytes)}) of an earlier attempt ${p.files === 1 ? 'was' : 'were'} used again.`,
  ),
  FOLDERS_UNREADABLE: define(
    'warning',
    'warn',
    z.object({ folders: z.array(pathText).readonly(), total: count }),
    (p, show) =>
      `${show.many(p.total, 'folder')} could not be listed, so their files are kept as they were: ${list(p.folders.map(show.file), p.total)}.`,
    () => 'ERR_SOURCE_LISTING',
  ),
  LISTING_INCOMPLETE: define(
    'warning',
    'warn',
    none,
    'The listing of the source is incomplete. Files that it does not show are kept as they were.',
    () => 'ERR_SOURCE_LISTING',
  ),
  FILE_PROBLEMS: define(
    'warning',
    'warn',
    z.object({
      problems: z
        .array(z.object({ path: pathText, code: word, outcome: z.enum(['carried', 'failed', 'skipped']) }))
        .readonly(),
      total: count,
    }),
    (p, show) =>
      p.problems
        .map(({ path, code, outcome: became }) => {
          const reason = `${show.file(path)}: ${fileProblemReason(code)}`;
          return `${reason} — ${became === 'carried' ? 'its last version is kept' : became === 'failed' ? 'not in this backup' : 'left out'}.`;
        })
        .join('\n'),
  ),
  FILE_CARRIED: define(
    'warning',
    'warn',
    z.object({ path: pathText, reason: word }),
    (p, show) => `${show.file(p.path)}: ${fileProblemReason(p.reason)} — its last version is kept.`,
  ),
  FILE_FAILED: define(
    'error',
    'error',
    z.object({ path: pathText, code: word }),
    (p, show) => `${show.file(p.path)}: ${fileProblemReason(p.code)} — not in this backup.`,
    (p) => p.code,
  ),
  FILES_CARRIED_TOTAL: define('warning', 'warn', z.object({ carried: count, failed: count }), (p, show) =>
    [
      ...(p.carried > 0 || p.failed === 0
        ? [
            `${show.many(p.carried, 'file')} could not be read now and ${p.carried === 1 ? 'is' : 'are'} kept as before.`,
          ]
        : []),
      ...(p.failed > 0 ? [`${show.many(p.failed, 'file')} could not be backed up at all.`] : []),
    ].join(' '),
  ),
  NAME_TOO_LONG: define(
    'warning',
    'warn',
    z.object({ path: pathText, bytes: count.optional() }),
    (p, show) => `${show.file(p.path)}: ${fileProblemReason('ERR_KEY_TOO_LONG')} — left out.`,
    () => 'ERR_KEY_TOO_LONG',
  ),
  RETENTION_FROZEN: define(
    'warning',
    'warn',
    z.object({
      reason: z.enum(['brake', 'empty_source', 'rolled_forward']),
      deleted: count,
      changed: count,
      files: count,
    }),
    (p, show) =>
      `No old restore point is removed until somebody has looked: ${freezeReasons[p.reason]} ` +
      `(${show.count(p.deleted)} deleted and ${show.count(p.changed)} changed of ${show.many(p.files, 'file')}).`,
  ),
  RETENTION_RELEASED: define('info', 'info', none, 'Old restore points are removed by schedule again.'),
  RUN_ANYWAY: define('info', 'info', z.object({ option: word }), 'This run was started with “run anyway once”.'),
  HOST_KEY_PINNED: define(
    'info',
    'info',
    z.object({ fingerprint: word }),
    'The server’s host key was seen for the first time and is remembered: {fingerprint:text}.',
  ),
  HOST_KEY_CHANGED: define(
    'error',
    'error',
    z.object({ fingerprint: word }),
    'The server shows another host key than before: {fingerprint:text}. Nothing was read.',
    () => 'ERR_SFTP_HOST_KEY_CHANGED',
  ),
};

function list(shown: readonly string[], total: number): string {
  const first = shown.slice(0, 10);
  return total > first.length ? `${first.join(', ')} and ${total - first.length} more` : first.join(', ');
}
