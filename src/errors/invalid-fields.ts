import { BackupError } from './backup-error.ts';

/** An INVALID_INPUT that names fields; the first sentence about each field counts. */
export function invalidFields(problems: readonly (readonly [field: string, problem: string])[]): BackupError {
  const fields: Record<string, string> = {};
  for (const [field, problem] of problems) fields[field === '' ? 'request' : field] ??= problem;
  const named = Object.entries(fields).map(([field, problem]) => `${field}: ${problem}`);
  return new BackupError('INVALID_INPUT', `Some of the values are not valid. ${named.join('; ')}.`, {
    details: { fields },
  });
}
