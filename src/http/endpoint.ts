import { z } from 'zod';
import type { ErrorCode } from '../errors/catalogue.ts';
import type { AdminServices } from '../admin/services.ts';
import type { ClientServices } from '../jobs/client.ts';
import { parseInput } from './input.ts';
import type { StreamedAnswer } from './stream-answer.ts';

export type Caller = 'client' | 'admin';

/** Whose request it is, with what this caller may reach: objects that are bound to it. */
export type CallerServices =
  | { readonly caller: 'client'; readonly client: ClientServices }
  | { readonly caller: 'admin'; readonly admin: AdminServices };

interface Shape<Input extends z.ZodObject, Output extends z.ZodObject> {
  /** Address below `/api/`, and name of the file in api/. */
  readonly name: string;
  /** GET changes nothing; every POST is guarded against forged requests. */
  readonly method: 'GET' | 'POST';
  readonly input: Input;
  /** What is not named here never leaves. */
  readonly output: Output;
  /** Codes beyond those that every endpoint has (`commonErrors`). */
  readonly errors: readonly ErrorCode[];
  /** `connection`, `folders`: makes a worker connect to somewhere, once or again and again; `browse`: reads a bucket. Each is limited on its own. */
  readonly rate?: 'connection' | 'folders' | 'browse';
  /** The answer carries an ETag, and a poll that names it gets 304 while nothing has changed. */
  readonly etag?: true;
}

type Definition<Input extends z.ZodObject, Output extends z.ZodObject> = Shape<Input, Output> &
  (
    | {
        readonly caller: 'client';
        handle(context: { client: ClientServices; input: z.output<Input> }): Promise<z.input<Output>>;
      }
    | {
        readonly caller: 'admin';
        handle(context: { admin: AdminServices; input: z.output<Input> }): Promise<z.input<Output>>;
      }
  );

export interface Endpoint extends Shape<z.ZodObject, z.ZodObject> {
  readonly caller: Caller;
  /**
   * Parses what came in, carries it out, and parses what goes out.
   * @throws BackupError `INVALID_INPUT` with `details.fields`, and the codes of `errors`
   */
  answer(who: CallerServices, given: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>>;
  /** Only of a download: as `answer`, but what is answered is a file. `output` is empty then. */
  readonly open?: (who: CallerServices, given: Readonly<Record<string, unknown>>) => Promise<StreamedAnswer>;
}

/** Every endpoint may answer with these. */
export const commonErrors: readonly ErrorCode[] = [
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'BAD_REQUEST',
  'METHOD_NOT_ALLOWED',
  'BODY_TOO_LARGE',
  'CSRF_INVALID',
  'INVALID_INPUT',
  'RATE_LIMITED',
  'INTERNAL',
  'ERR_DATABASE_UNREACHABLE',
];

/**
 * One endpoint of the API: what it is, who may call it, what goes in and out, which errors it has, and the one thing that it calls.
 * The comment above it is its entry in docs/api.md.
 */
export function endpoint<Input extends z.ZodObject, Output extends z.ZodObject>(
  definition: Definition<Input, Output>,
): Endpoint {
  const { name, method, caller, input, output, errors, rate, etag } = definition;
  return {
    name,
    method,
    caller,
    input,
    output,
    errors,
    ...(rate === undefined ? {} : { rate }),
    ...(etag === undefined ? {} : { etag }),
    async answer(who, given) {
      const parsed = parseInput(input, given);
      return output.parse(await carryOut(definition, who, parsed));
    },
  };
}

/**
 * An endpoint whose answer is a file: most often a GET that changes nothing but the audit log. Refusals are JSON as everywhere; once the file has begun, a
 * failure cuts the connection.
 */
export function downloadEndpoint<Input extends z.ZodObject>(definition: {
  readonly name: string;
  readonly input: Input;
  readonly errors: readonly ErrorCode[];
  readonly rate: NonNullable<Endpoint['rate']>;
  /** POST where it is more than reading: then it is guarded against forged requests as all of them. */
  readonly method?: 'GET' | 'POST';
  open(context: { client: ClientServices; input: z.output<Input> }): Promise<StreamedAnswer>;
}): Endpoint {
  const { name, input, errors, rate, method = 'GET' } = definition;
  return {
    name,
    method,
    caller: 'client',
    input,
    output: z.object({}),
    errors,
    rate,
    answer: () => Promise.reject(new Error(`${name} answers with a file`)),
    async open(who, given) {
      const parsed = parseInput(input, given);
      if (who.caller !== 'client') throw new Error(`${name} was called by a ${who.caller}`);
      return await definition.open({ client: who.client, input: parsed });
    },
  };
}

function carryOut<Input extends z.ZodObject, Output extends z.ZodObject>(
  definition: Definition<Input, Output>,
  who: CallerServices,
  input: z.output<Input>,
): Promise<z.input<Output>> {
  if (definition.caller === 'client' && who.caller === 'client')
    return definition.handle({ client: who.client, input });
  if (definition.caller === 'admin' && who.caller === 'admin') return definition.handle({ admin: who.admin, input });
  throw new Error(`${definition.name} was called by a ${who.caller}`);
}
