import { randomBytes } from 'node:crypto';
import cookieSession from 'cookie-session';
import type { Request, RequestHandler } from 'express';
import { z } from 'zod';
import { isOwnOrigin } from '../../security/csrf.ts';
import type { Identity } from '../port.ts';

/** Who signed in, in a signed cookie that the browser's scripts cannot read. */
const Session = z.object({
  kind: z.enum(['client', 'admin']),
  id: z.number().int().positive(),
  name: z.string(),
  /** Random for each sign-in: tokens against forged requests are bound to it. */
  signIn: z.string().min(32),
  since: z.number(),
});
export type SignIn = Pick<z.infer<typeof Session>, 'kind' | 'id' | 'name'>;

const LASTS_MS = 12 * 60 * 60 * 1000;

export function sessions(secret: string): RequestHandler {
  return cookieSession({
    name: 'northwind',
    keys: [secret],
    maxAge: LASTS_MS,
    httpOnly: true,
    sameSite: 'lax',
    // The demo answers on loopback only, where there is no TLS.
    secure: false,
  });
}

export function signIn(request: Request, who: SignIn, now: number): void {
  request.session = { ...who, signIn: randomBytes(24).toString('base64url'), since: now };
}

export function signOut(request: Request): void {
  request.session = null;
}

/** The sign-in of a request, or null. Age is checked here too: a cookie that somebody kept does not live for ever. */
export function currentSignIn(request: Request, now: number): z.infer<typeof Session> | null {
  const parsed = Session.safeParse({ ...request.session });
  if (!parsed.success || now - parsed.data.since > LASTS_MS) return null;
  return parsed.data;
}

export function identify(request: Request, now: number): Identity {
  const session = currentSignIn(request, now);
  if (session === null) return { kind: 'nobody' };
  return session.kind === 'client'
    ? { kind: 'client', clientId: session.id, session: session.signIn }
    : { kind: 'admin', adminId: session.id, name: session.name, session: session.signIn };
}

/** True when a form was sent by a page of this portal. */
export function isOwnForm(request: Request): boolean {
  return isOwnOrigin({
    secFetchSite: request.get('sec-fetch-site'),
    origin: request.get('origin'),
    host: request.headers.host,
  });
}

/** Where to go after signing in: a path of this portal, never another site. */
export function ownPath(next: unknown, otherwise: string): string {
  if (typeof next !== 'string' || !/^\/(?![/\\])[^\s\\]*$/.test(next)) return otherwise;
  const base = 'http://portal.invalid';
  const url = URL.parse(next, base);
  return url?.origin === base ? url.pathname + url.search : otherwise;
}
