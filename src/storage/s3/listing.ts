import type { ListingPage } from './xml.ts';
import { parseListing } from './xml.ts';
import { readBody, type S3Connection } from './connection.ts';
import { isUnsupported, S3Failure } from './failure.ts';

export interface Listing {
  readonly prefix: string;
  readonly delimiter?: '/';
  readonly startAfter?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Remembers for one store which version of ListObjects it speaks. */
export interface ListingDialect {
  version: 1 | 2;
}

/** Pages in a row without anything: stores may pass over what was deleted, but not for ever. */
const MOST_EMPTY_PAGES = 1_000;

/**
 * Pages of a listing, in order. The next page is requested before the caller works on the one it has got, so a large listing takes no
 * longer than its requests.
 */
export async function* listPages(
  connection: S3Connection,
  dialect: ListingDialect,
  listing: Listing,
): AsyncGenerator<ListingPage> {
  // A caller that stops early must not leave a request behind.
  const stopped = new AbortController();
  const signal = listing.signal ? AbortSignal.any([listing.signal, stopped.signal]) : stopped.signal;
  const request = (from: string | null): Promise<ListingPage> => {
    const page = requestPage(connection, dialect, { ...listing, signal }, from);
    page.catch(() => {});
    return page;
  };
  try {
    let pending: Promise<ListingPage> | null = request(null);
    let from: string | null = null;
    const advance = new Advance();
    while (pending !== null) {
      const page: ListingPage = await pending;
      const next = page.truncated ? nextFrom(page, dialect) : null;
      if ((next !== null && next === from) || !advance.isMade(page))
        throw new S3Failure(502, 'MalformedAnswer', 'the listing does not advance');
      from = next;
      pending = next === null ? null : request(next);
      yield page;
    }
  } finally {
    stopped.abort(new Error('the listing was not wanted to its end'));
  }
}

/** Whether pages bring something new: a listing may go in a circle, whatever tokens it gives out. */
class Advance {
  #empty = 0;
  #pages = 0;
  #marked: string | null = null;
  #markAgain = 1;

  /** The first key of an earlier page is remembered, of an ever later one (Brent's way): a circle comes back to it at some time. */
  isMade({ objects, folders }: ListingPage): boolean {
    const first = objects[0]?.key ?? null;
    this.#empty = first === null && folders.length === 0 ? this.#empty + 1 : 0;
    if (this.#empty > MOST_EMPTY_PAGES) return false;
    if (first === null) return true;
    if (first === this.#marked) return false;
    this.#pages += 1;
    if (this.#pages === this.#markAgain) {
      this.#marked = first;
      this.#markAgain *= 2;
    }
    return true;
  }
}

/** @param from token (version 2) or marker (version 1) of the page; null for the first one. */
async function requestPage(
  connection: S3Connection,
  dialect: ListingDialect,
  listing: Listing,
  from: string | null,
): Promise<ListingPage> {
  const ask = async (): Promise<ListingPage> => {
    const query = queryOf(dialect, listing, from);
    const xml = await connection.send({ method: 'GET', query, signal: listing.signal }, readBody);
    return parseListing(xml.toString('utf8'));
  };
  if (dialect.version === 1) return await ask();
  try {
    const page = await ask();
    if (!page.firstVersion) return page;
    dialect.version = 1;
    // The store ignored what it does not know; where to start was among it.
    return listing.startAfter === undefined ? page : await ask();
  } catch (error) {
    if (from !== null || !isUnsupported(error)) throw error;
    dialect.version = 1;
    return await ask();
  }
}

function queryOf(dialect: ListingDialect, listing: Listing, from: string | null): Record<string, string> {
  const startAfter = listing.startAfter ? listing.startAfter : null;
  const position =
    dialect.version === 1
      ? optional('marker', from ?? startAfter)
      : from !== null
        ? { 'continuation-token': from }
        : optional('start-after', startAfter);
  return {
    ...(dialect.version === 2 ? { 'list-type': '2' } : {}),
    ...(listing.delimiter ? { delimiter: listing.delimiter } : {}),
    'encoding-type': 'url',
    'max-keys': '1000',
    prefix: listing.prefix,
    ...position,
  };
}

function optional(name: string, value: string | null): Record<string, string> {
  return value === null ? {} : { [name]: value };
}

function nextFrom(page: ListingPage, dialect: ListingDialect): string {
  const last = dialect.version === 2 ? page.continuation : (page.nextMarker ?? lastName(page));
  // An incomplete listing that looks complete would make files look deleted.
  if (last === null)
    throw new S3Failure(502, 'MalformedAnswer', 'the listing was cut off without saying where to go on');
  return last;
}

/** Version 1 names the next marker only with a delimiter; else it is the last key. */
function lastName(page: ListingPage): string | null {
  return page.objects.at(-1)?.key ?? page.folders.at(-1) ?? null;
}
