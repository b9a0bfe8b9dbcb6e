import { z } from 'zod';
import { invalidFields } from '../errors/invalid-fields.ts';

/**
 * Fields of sources. A value ends up in the environment of a transfer program, where a line break or another control character could
 * become a setting of its own: none is ever let in.
 */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

export function text(max: number) {
  return z
    .string({ error: 'must be a text' })
    .trim()
    .min(1, { error: 'must not be empty' })
    .max(max, { error: `must not be longer than ${max} characters` })
    .refine((value) => !CONTROL.test(value), { error: 'must not hold control characters or line breaks' })
    .refine((value) => value.isWellFormed(), { error: 'must be valid Unicode' });
}

/** A password: taken as it is, blanks included. */
export function secret(max: number) {
  return z
    .string({ error: 'must be a text' })
    .min(1, { error: 'must not be empty' })
    .max(max, { error: `must not be longer than ${max} characters` })
    .refine((value) => !CONTROL.test(value), { error: 'must not hold control characters or line breaks' })
    .refine((value) => value.isWellFormed(), { error: 'must be valid Unicode' });
}

/** A host name or literal address, without port, user or path. */
export const host = text(253).refine(
  (value) => /^(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9._-]*[a-z0-9])?\.?|[0-9a-f:.]+)$/i.test(value),
  {
    error: 'must be a host name or an address, without port or path',
  },
);

export const port = z.coerce
  .number({ error: 'must be a port number' })
  .int({ error: 'must be a port number' })
  .min(1, { error: 'must be a port number' })
  .max(65535, { error: 'must be a port number' });

/** Bucket names of any store: AWS's rules are stricter, older stores allow capitals and underscores. */
export const bucket = text(255).refine((value) => /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(value) && !value.includes('..'), {
  error: 'must be a bucket name: letters, digits, dots and hyphens',
});

/** Checks a path and takes slashes off its ends (the leading one stays where `absolute` is allowed). */
export function plainPath(given: string, options: { absolute: boolean }): string {
  const problem = pathProblem(given);
  if (problem !== null) throw invalidFields([['source_path', problem]]);
  const leading = options.absolute && given.startsWith('/') ? '/' : '';
  return leading + given.replace(/^\/+|\/+$/g, '');
}

function pathProblem(path: string): string | null {
  if (CONTROL.test(path)) return 'must not hold control characters or line breaks';
  if (!path.isWellFormed()) return 'must be valid Unicode';
  if (Buffer.byteLength(path) > 1024) return 'must not be longer than 1,024 bytes';
  if (path.split('/').some((part) => part === '..' || part === '.')) return 'must not hold "." or ".." as a part';
  return null;
}
