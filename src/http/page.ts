import { z } from 'zod';
import type { AdminServices } from '../admin/services.ts';
import type { ClientServices } from '../jobs/client.ts';
import { BackupError } from '../errors/backup-error.ts';
import { parseInput } from './input.ts';
import type { Caller, CallerServices } from './endpoint.ts';

/** What a page answers with: a template and its own part of the model, or another address of the portal (`/jobs/…`, without the base path). */
export type PageAnswer =
  | { readonly template: string; readonly model: Readonly<Record<string, unknown>>; readonly status?: number }
  | { readonly redirect: string };

/** About the request, for pages that show times or links. */
export interface PageRequest {
  /** Path below the base path, without query: `/jobs`. */
  readonly path: string;
  /** `false` for a request by htmx: then a partial is enough. */
  readonly whole: boolean;
  /** IANA zone in which the page writes times where the browser does not. */
  readonly timezone: string;
  /** Epoch milliseconds. */
  readonly now: number;
}

interface Shape<Params extends z.ZodObject, Query extends z.ZodObject> {
  /** Express path: `/jobs/:job_id`. Admin pages lie below `/admin`, which is added: their own path is `/`, `/runs` … */
  readonly path: string;
  /** Of the path. Malformed ones answer like missing ones (404). */
  readonly params?: Params;
  /** Of the address's query. A malformed value falls back to what the schema gives for an absent one. */
  readonly query?: Query;
  /** Link in the portal's own navigation, in the order of the list of pages. */
  readonly navigation?: string;
  /** `browse`: reads a bucket, so one person may open only so many a minute. */
  readonly rate?: 'browse';
  /** Names of the pages that the navigation marks as current while this one is shown; default: itself. Example: `/jobs`. */
  readonly section?: string;
}

type Definition<Params extends z.ZodObject, Query extends z.ZodObject> = Shape<Params, Query> &
  (
    | {
        readonly caller: 'client';
        handle(context: {
          client: ClientServices;
          params: z.output<Params>;
          query: z.output<Query>;
          request: PageRequest;
        }): Promise<PageAnswer>;
      }
    | {
        readonly caller: 'admin';
        handle(context: {
          admin: AdminServices;
          params: z.output<Params>;
          query: z.output<Query>;
          request: PageRequest;
        }): Promise<PageAnswer>;
      }
  );

export interface Page {
  readonly path: string;
  readonly caller: Caller;
  readonly navigation?: string;
  readonly section: string;
  readonly rate?: 'browse';
  readonly params: z.ZodObject;
  show(
    who: CallerServices,
    given: {
      params: Readonly<Record<string, unknown>>;
      query: Readonly<Record<string, unknown>>;
      request: PageRequest;
    },
  ): Promise<PageAnswer>;
}

const nothing = z.object({});

/** One view of the portal: one address, answered to GET, changing nothing (state changes are endpoints of api/). */
export function page<Params extends z.ZodObject = typeof nothing, Query extends z.ZodObject = typeof nothing>(
  definition: Definition<Params, Query>,
): Page {
  const { path, caller, navigation, section = path, rate } = definition;
  return {
    path,
    caller,
    ...(navigation === undefined ? {} : { navigation }),
    section,
    ...(rate === undefined ? {} : { rate }),
    params: definition.params ?? nothing,
    async show(who, given) {
      const params = parsePathParams(definition.params, given.params);
      const query = parseQuery(definition.query, given.query);
      const { request } = given;
      if (definition.caller === 'client' && who.caller === 'client') {
        return await definition.handle({ client: who.client, params, query, request });
      }
      if (definition.caller === 'admin' && who.caller === 'admin') {
        return await definition.handle({ admin: who.admin, params, query, request });
      }
      throw new Error(`${path} was shown to a ${who.caller}`);
    },
  };
}

export function view(template: string, model: Readonly<Record<string, unknown>>, status?: number): PageAnswer {
  return { template, model, ...(status === undefined ? {} : { status }) };
}

/** @param address below the base path, beginning with a slash. */
export function redirectTo(address: string): PageAnswer {
  return { redirect: address };
}

function parsePathParams<Schema extends z.ZodObject>(
  schema: Schema | undefined,
  given: Readonly<Record<string, unknown>>,
): z.output<Schema> {
  try {
    return parseInput(schema ?? (nothing as z.ZodObject as Schema), given);
  } catch (cause) {
    throw new BackupError('NOT_FOUND', undefined, { cause });
  }
}

function parseQuery<Schema extends z.ZodObject>(
  schema: Schema | undefined,
  given: Readonly<Record<string, unknown>>,
): z.output<Schema> {
  const wanted = schema ?? (nothing as z.ZodObject as Schema);
  const result = wanted.safeParse(given);
  if (result.success) return result.data;
  const wrong = new Set(result.error.issues.map((issue) => String(issue.path[0])));
  return parseInput(wanted, Object.fromEntries(Object.entries(given).filter(([name]) => !wrong.has(name))));
}
