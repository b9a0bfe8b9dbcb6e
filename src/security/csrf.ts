import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * Protection of every state change: the request must come from a page of this portal (Fetch metadata, Origin), and carry a token
 * that only a page of the same sign-in could hold. Pure; HTTP calls it with what the request says.
 */
const NONCE_BYTES = 16;

/**
 * Token for one sign-in: `<nonce>.<HMAC(nonce ‖ session)>`, base64url. A fresh nonce each time, so that a compressed page does
 * not leak the token byte by byte.
 */
export function issueCsrfToken(key: Buffer, session: string, random: (bytes: number) => Buffer = randomBytes): string {
  const nonce = random(NONCE_BYTES).toString('base64url');
  return `${nonce}.${mac(key, nonce, session).toString('base64url')}`;
}

/** True when the token was issued for this sign-in under one of the keys (Secrets.csrfKeys()). */
export function verifyCsrfToken(keys: readonly Buffer[], session: string, token: unknown): boolean {
  if (typeof token !== 'string' || session === '') return false;
  const match = /^([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})$/.exec(token);
  if (match === null) return false;
  const given = Buffer.from(match[2] ?? '', 'base64url');
  return keys.some((key) => timingSafeEqual(mac(key, match[1] ?? '', session), given));
}

export interface RequestOrigin {
  /** Values of the headers, undefined when absent. */
  readonly secFetchSite: string | undefined;
  readonly origin: string | undefined;
  /** Host and port that the browser addressed: `Host`, or what a trusted proxy says. */
  readonly host: string | undefined;
}

/**
 * True when the headers do not speak against the request coming from a page of this portal. Browsers send at least one of both with every
 * unsafe request; a request with neither comes from a program, which the token (still required) decides about.
 * Source: Fetch Metadata Request Headers (W3C), RFC 6454.
 *
 * @param trustedOrigins further origins (`https://portal.example.com`) whose pages may post here.
 */
export function isOwnOrigin(request: RequestOrigin, trustedOrigins: readonly string[] = []): boolean {
  const { secFetchSite, origin, host } = request;
  if (origin !== undefined && trustedOrigins.includes(origin)) return true;
  if (secFetchSite !== undefined) return secFetchSite === 'same-origin';
  if (origin === undefined) return true;
  return host !== undefined && originHost(origin) === normalHost(host);
}

function mac(key: Buffer, nonce: string, session: string): Buffer {
  return createHmac('sha256', key).update(`${nonce}:${session}`).digest();
}

function originHost(origin: string): string | null {
  try {
    const url = new URL(origin);
    return url.origin === origin.toLowerCase() ? url.host : null;
  } catch {
    return null;
  }
}

/** Host without the default ports, as URL.host writes it. The scheme is unknown behind a proxy, so both defaults are dropped. */
function normalHost(host: string): string {
  return host.toLowerCase().replace(/:(?:80|443)$/, '');
}
