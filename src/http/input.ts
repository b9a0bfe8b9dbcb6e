import type { Request } from 'express';
import type { z } from 'zod';
import { BackupError } from '../errors/backup-error.ts';
import { invalidFields } from '../errors/invalid-fields.ts';

/** Names that mean the same. An endpoint declares one of each pair and takes the other one too. */
const aliases: readonly (readonly [string, string])[] = [
  ['run_id', 'run_uuid'],
  ['job_id', 'job_uuid'],
  ['agent_id', 'agent_uuid'],
  ['point_id', 'restore_point_id'],
];

/** @throws BackupError `INVALID_INPUT`; `details.fields` maps the names of the fields to what is wrong with each. */
export function parseInput<Schema extends z.ZodObject>(
  schema: Schema,
  given: Readonly<Record<string, unknown>>,
): z.output<Schema> {
  const result = schema.safeParse(withAliases(schema, given));
  if (result.success) return result.data;
  throw invalidFields(result.error.issues.map((issue) => [issue.path.join('.'), issue.message]));
}

function withAliases(schema: z.ZodObject, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const fields: Record<string, unknown> = { ...given };
  for (const [first, second] of aliases) {
    if (first in schema.shape && fields[first] === undefined) fields[first] = fields[second];
    else if (second in schema.shape && fields[second] === undefined) fields[second] = fields[first];
  }
  return fields;
}

/** The fields of a GET, read from the address itself: a host's own query parser may do anything. A repeated name becomes an array. */
export function queryFields(request: Pick<Request, 'originalUrl'>): Record<string, unknown> {
  const start = request.originalUrl.indexOf('?');
  if (start < 0) return {};
  const fields = new Map<string, string | string[]>();
  for (const [name, value] of new URLSearchParams(request.originalUrl.slice(start + 1))) {
    const before = fields.get(name);
    fields.set(name, before === undefined ? value : [before, value].flat());
  }
  return Object.fromEntries(fields);
}

/** The fields of a POST: an object, from JSON or from a form. */
export function bodyFields(request: Pick<Request, 'body'>): Record<string, unknown> {
  const body: unknown = request.body;
  if (body === undefined || body === null || body === '') return {};
  // Bytes: a parser of the host's takes every type as it is.
  if (typeof body !== 'object' || Array.isArray(body) || ArrayBuffer.isView(body)) {
    throw new BackupError('BAD_REQUEST', 'The body must be a JSON object or a form.');
  }
  return Object.fromEntries(Object.entries(body));
}
