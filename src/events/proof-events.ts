import { z } from 'zod';
import { define } from './define.ts';
import { fileProblemReason } from './file-problems.ts';

const count = z.number().nonnegative();
const none = z.object({});
const word = z.string().max(128);
const files = z.array(z.object({ path: z.string(), code: word })).readonly();

/** What validations and restore tests tell; emitted by the worker. */
export const proofEvents = {
  VALIDATION_SAMPLE: define(
    'info',
    'info',
    z.object({ files: count }),
    (p, show) => `A sample is compared: ${show.many(p.files, 'file')} at random.`,
  ),
  VALIDATION_COMPARED: define(
    'info',
    'info',
    z.object({ files: count, bytes: count, exact: count, size_only: count, missing: count, differs: count }),
    (p, show) =>
      [
        `Compared ${show.many(p.files, 'stored file')} (${show.bytes(p.bytes)}) with the restore point: ${show.count(p.exact)} right by checksum`,
        ...(p.size_only > 0 ? [`${show.count(p.size_only)} right in size, without a checksum to compare`] : []),
        ...(p.missing > 0 ? [`${show.count(p.missing)} missing`] : []),
        ...(p.differs > 0 ? [`${show.count(p.differs)} differ`] : []),
      ].join(', ') + '.',
  ),
  VALIDATION_SOURCE_COMPARED: define(
    'info',
    'info',
    z.object({ by_checksum: count, by_size: count, changed_since: count, unread: count }),
    (p, show) =>
      [
        `Compared with the source: ${show.count(p.by_checksum)} the same by checksum`,
        ...(p.by_size > 0
          ? [`${show.count(p.by_size)} the same in size and date, of which no checksum is told there`]
          : []),
        `${show.count(p.changed_since)} changed there since the backup`,
        ...(p.unread > 0 ? [`${show.count(p.unread)} in folders that could not be listed`] : []),
      ].join(', ') + '.',
  ),
  VALIDATION_SOURCE_SKIPPED: define(
    'warning',
    'warn',
    z.object({ code: word }),
    (p) => `The source could not be compared: ${fileProblemReason(p.code)}. What is stored was compared all the same.`,
    (p) => p.code,
  ),
  VALIDATION_SIZE_ONLY: define(
    'summary',
    'warn',
    none,
    'Validation: no differences. Not every file could be compared by its content.',
  ),
  FILES_DIFFER: define('error', 'error', z.object({ files, total: count }), (p, show) => {
    const lines = p.files.map(({ path, code }) => `${show.file(path)}: ${fileProblemReason(code)}.`);
    return p.total > p.files.length
      ? [...lines, `${show.count(p.total - p.files.length)} more.`].join('\n')
      : lines.join('\n');
  }),
  DRILL_START: define('start', 'info', z.object({ point_at: z.number().optional() }), (p, show) =>
    p.point_at === undefined
      ? 'Restore test starting.'
      : `Restore test of the point of ${show.time(p.point_at)} starting.`,
  ),
  DRILL_READ: define(
    'info',
    'info',
    z.object({ files: count, bytes: count, duration_ms: count, canary: z.string().optional() }),
    (p, show) =>
      `Read back ${show.many(p.files, 'file')} (${show.bytes(p.bytes)}) in ${(p.duration_ms / 1000).toFixed(1)} s` +
      (p.canary === undefined ? '.' : `, ${show.file(p.canary)} among them, which is read every time.`),
  ),
  DRILL_SUCCESS: define(
    'summary',
    'info',
    none,
    'Restore test passed: every file that was read is what was backed up.',
  ),
  DRILL_SIZE_ONLY: define(
    'summary',
    'warn',
    z.object({ files: count }),
    (p, show) =>
      `Restore test: every file could be read, and has its size. Of ${show.many(p.files, 'file')} no checksum is known to compare the content by.`,
  ),
  DRILL_FAILED: define('summary', 'error', z.object({ code: word.optional() }), 'Restore test failed.', (p) => p.code),
  DRILL_CANCELLED: define('cancelled', 'warn', none, 'Restore test cancelled.'),
  DRILL_OVERDUE: define(
    'warning',
    'warn',
    z.object({ since: z.number() }),
    'The last restore test did not pass, or did not come to its end. One has been overdue since {since:time}.',
  ),
};
