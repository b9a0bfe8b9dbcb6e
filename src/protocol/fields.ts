import { z } from 'zod';

/**
 * Fields as browsers, scripts and older clients send them: from a form everything is text, from JSON it has types. The same schema
 * takes both. An empty text means "nothing" (null) where a field can be cleared; an absent field is always left alone.
 */

/** Identifier of a job, run, point, … as it leaves the process: a UUID, compared by its bytes in lower case. */
const uuid = z
  .string()
  .trim()
  .toLowerCase()
  .pipe(z.uuid({ error: 'must be an identifier as this API gives them out' }));
export const JobId = uuid;
export const RunId = uuid;
export const PointId = uuid;
export const CommandId = uuid;
export const AgentId = uuid;
export const SourceId = uuid;

/** Numbers of rows that the host owns (clients, buckets). */
export const HostRowId = number({ min: 1, max: Number.MAX_SAFE_INTEGER });

/** True for C0 and C1 control characters, DEL, and the line and paragraph separators. */
export function hasControlCharacters(text: string): boolean {
  return /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text);
}

/** True when the text has a half of a surrogate pair: it cannot be written as UTF-8. */
export function isBrokenUnicode(text: string): boolean {
  return !text.isWellFormed();
}

/** One line of text for people, trimmed. */
export function line(options: { max: number; min?: number }) {
  return z
    .string({ error: 'must be a text' })
    .trim()
    .min(options.min ?? 0, {
      error: options.min === 1 ? 'must not be empty' : `needs at least ${options.min} characters`,
    })
    .max(options.max, { error: `must not be longer than ${options.max} characters` })
    .refine((text) => !hasControlCharacters(text), { error: 'must not hold control characters or line breaks' })
    .refine((text) => !isBrokenUnicode(text), { error: 'must be valid Unicode' });
}

/** A whole number, also written as text. */
export function number(options: { min: number; max: number }) {
  const range = `must be a whole number from ${options.min} to ${options.max}`;
  return z
    .union(
      [
        z.number(),
        z
          .string()
          .trim()
          .regex(/^-?\d{1,16}$/)
          .transform(Number),
      ],
      { error: range },
    )
    .pipe(z.number().int({ error: range }).min(options.min, { error: range }).max(options.max, { error: range }));
}

const YES = ['1', 'true', 'on', 'yes'];
const NO = ['0', 'false', 'off', 'no', ''];

/** A checkbox: `1`/`0`, `true`/`false`, `on`/`off`. */
export function flag() {
  return z.union(
    [
      z.boolean(),
      z.literal([0, 1]).transform((value) => value === 1),
      z
        .string()
        .trim()
        .toLowerCase()
        .pipe(z.enum([...YES, ...NO]))
        .transform((value) => YES.includes(value)),
    ],
    { error: 'must be 1 or 0' },
  );
}

/** Empty text and null mean null; anything else is for `schema`. */
export function clearable<Schema extends z.ZodType>(schema: Schema) {
  return z.union([z.literal('').transform(() => null), z.null(), schema]);
}

/** JSON text, or the value itself where the whole request is JSON. */
export function json<Schema extends z.ZodType>(schema: Schema) {
  return z
    .unknown()
    .transform((given, context) => {
      if (typeof given !== 'string') return given;
      try {
        return JSON.parse(given) as unknown;
      } catch {
        context.addIssue({ code: 'custom', message: 'must be valid JSON' });
        return z.NEVER;
      }
    })
    .pipe(schema);
}

/** A list of e-mail addresses as a JSON array or separated by commas, semicolons or blanks; duplicates go. */
export const EmailList = z
  .union([z.array(z.string()), z.string()], { error: 'must be a list of e-mail addresses' })
  .transform((given) => {
    const text = Array.isArray(given)
      ? given
      : given.trim().startsWith('[')
        ? parseArray(given)
        : given.split(/[,;\s]+/);
    return [...new Set(text.map((address) => address.trim()).filter((address) => address !== ''))];
  })
  .pipe(
    z
      .array(z.email({ error: 'must hold valid e-mail addresses only' }).max(191))
      .max(20, { error: 'must not hold more than 20 addresses' }),
  );

function parseArray(text: string): string[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.map(String) : [text];
  } catch {
    return [text];
  }
}

const ISO = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/;
/** The end of the year 9999: the last that a column of times can hold. */
const LAST_MOMENT = 253_402_300_799_999;

/** `since_id`, `cursor` and `limit` of lists. */
export function limit(options: { fallback: number; max: number }) {
  return number({ min: 1, max: options.max }).default(options.fallback);
}
/** Where the next page of a list begins: the identifier that the page before gave out as `next`. */
export const Cursor = uuid.optional();

/** A moment: epoch milliseconds, or ISO 8601. */
export const Moment = z
  .union([number({ min: 0, max: LAST_MOMENT }), z.string().trim()], { error: 'must be a time' })
  .transform((given, context) => {
    const at = typeof given === 'number' ? given : ISO.test(given) ? Date.parse(given) : NaN;
    if (Number.isFinite(at) && at >= 0 && at <= LAST_MOMENT) return at;
    context.addIssue({
      code: 'custom',
      message: 'must be a time: epoch milliseconds, or such as 2026-01-31T02:00:00Z',
    });
    return z.NEVER;
  });

/**
 * Files and folders of a restore point: a JSON list, or the field once or several times in a form. A text that is no JSON list is a path
 * itself.
 */
export const PathList = z
  .union([z.array(z.unknown()), z.string()], { error: 'must be a list of paths' })
  .transform((given) => (typeof given === 'string' ? listOf(given) : given))
  // Before each of them is looked at.
  .pipe(z.array(z.unknown()).max(10_000, { error: 'must not hold more than 10,000 paths' }))
  .pipe(
    z.array(
      z
        .string({ error: 'must be a list of paths' })
        .max(1024, { error: 'must not hold paths of more than 1024 characters' })
        .refine((path) => !hasControlCharacters(path), {
          error: 'must not hold paths with control characters or line breaks',
        })
        .refine((path) => !isBrokenUnicode(path), { error: 'must hold valid Unicode only' }),
    ),
  );

function listOf(given: string): unknown[] {
  if (!given.trimStart().startsWith('[')) return [given];
  try {
    const value: unknown = JSON.parse(given);
    return Array.isArray(value) ? value : [given];
  } catch {
    return [given];
  }
}
