import { BackupError } from '../errors/backup-error.ts';
import { unavailableFields, type JobChanges } from '../protocol/job-input.ts';

/** What stands for "without this option", in the spellings of forms and of JSON. */
const nothing: ReadonlySet<unknown> = new Set([
  undefined,
  null,
  '',
  'none',
  0,
  '0',
  false,
  'false',
  'off',
  'no',
  '[]',
  '{}',
]);

/**
 * Refuses what is not built: it is never stored and ignored.
 * @throws BackupError `ERR_NOT_AVAILABLE`; `details.fields` names them
 */
export function refuseUnavailable(changes: JobChanges): void {
  const fields: Record<string, string> = {};
  const refuse = (field: string, value: unknown): void => {
    fields[field] = `"${String(value).slice(0, 60)}" is not available yet`;
  };
  for (const field of unavailableFields) {
    const value = changes[field];
    if (nothing.has(value) || isEmptyCollection(value)) continue;
    refuse(field, typeof value === 'object' ? 'this' : value);
  }
  const expected = { backup_mode: ['', 'sync', 'archive'], engine: ['', 'sync'], dest_type: ['', 's3'] } as const;
  for (const [field, values] of Object.entries(expected)) {
    const value = changes[field as keyof typeof expected];
    if (value !== undefined && !(values as readonly string[]).includes(value)) refuse(field, value);
  }
  const names = Object.keys(fields);
  if (names.length === 0) return;
  throw new BackupError(
    'ERR_NOT_AVAILABLE',
    `${names.join(', ')}: ${names.length === 1 ? 'this option is' : 'these options are'} not available yet. Save the job without.`,
    { details: { fields } },
  );
}

function isEmptyCollection(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
