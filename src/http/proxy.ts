import type { Request } from 'express';

/**
 * How far the `X-Forwarded-*` headers are believed: `undefined` leaves it to the host app's own "trust proxy" setting, `false` is
 * never, a number is how many proxies stand before the portal.
 */
export type TrustProxy = number | false | undefined;

/** Host and port that the browser addressed. */
export function requestHost(request: Request, trust: TrustProxy): string | undefined {
  if (trust === undefined) return request.host;
  return forwarded(request, 'x-forwarded-host', trust) ?? request.headers.host;
}

/** Address of the caller, as far as the proxies can be believed. */
export function requestAddress(request: Request, trust: TrustProxy): string {
  const address = trust === undefined ? request.ip : forwarded(request, 'x-forwarded-for', trust);
  return address ?? request.socket.remoteAddress ?? 'unknown';
}

/** Each proxy appends one entry, so the one that `trust` proxies vouch for is counted from the end. */
function forwarded(request: Request, header: string, trust: number | false): string | undefined {
  if (trust === false || trust === 0) return undefined;
  const given = request.headers[header];
  const entries = (Array.isArray(given) ? given.join(',') : (given ?? '')).split(',').map((entry) => entry.trim());
  const entry = entries.at(-trust) ?? entries[0];
  return entry === undefined || entry === '' ? undefined : entry;
}
