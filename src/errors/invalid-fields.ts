import { BackupError } from './backup-error.ts';

/** Fields that one answer names: a form has fewer, and what is sent to be refused must not make a large answer. */
const MOST_FIELDS = 100;

/** An INVALID_INPUT that names fields; the first sentence about each field counts. */
export function invalidFields(problems: readonly (readonly [field: string, problem: string])[]): BackupError {
  const fields = firstFields(problems.map(([field, problem]) => [field === '' ? 'request' : field, problem]));
  return new BackupError('INVALID_INPUT', `Some of the values are not valid. ${namedFields(fields)}.`, {
    details: { fields },
  });
}

/** The first sentence about each field, of so many fields as one answer names. */
export function firstFields(
  problems: Iterable<readonly [field: string, problem: string]>,
): Readonly<Record<string, string>> {
  const fields = new Map<string, string>();
  for (const [field, problem] of problems) {
    if (fields.size >= MOST_FIELDS) break;
    const name = field.length > 200 ? `${field.slice(0, 199)}…` : field;
    if (!fields.has(name)) fields.set(name, problem);
  }
  return Object.fromEntries(fields);
}

export function namedFields(fields: Readonly<Record<string, string>>): string {
  return Object.entries(fields)
    .map(([field, problem]) => `${field}: ${problem}`)
    .join('; ');
}
