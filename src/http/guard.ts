import type { Request } from 'express';
import { BackupError } from '../errors/backup-error.ts';
import type { Identity } from '../host/port.ts';
import { isOwnOrigin, issueCsrfToken, verifyCsrfToken } from '../security/csrf.ts';
import type { Secrets } from '../security/envelope.ts';
import { requestHost, type TrustProxy } from './proxy.ts';

export type SignedIn = Exclude<Identity, { kind: 'nobody' }>;

export interface GuardOptions {
  readonly secrets: Pick<Secrets, 'csrfKey' | 'csrfKeys'>;
  readonly trustedOrigins: readonly string[];
  readonly trustProxy?: TrustProxy;
}

/** Token for the forms of a page. Bound to the sign-in **and** to who is signed in, so it dies with either. */
export function csrfTokenFor(identity: SignedIn, secrets: Pick<Secrets, 'csrfKey'>): string {
  return issueCsrfToken(secrets.csrfKey(), boundTo(identity));
}

/**
 * Lets a state change through only from a page of this portal: origin check, and a token in the header `X-CSRF-Token` or the
 * field `token`.
 * @throws BackupError `CSRF_INVALID`
 */
export function requireOwnPage(
  request: Request,
  identity: SignedIn,
  fields: Readonly<Record<string, unknown>>,
  options: GuardOptions,
): void {
  requireOwnOrigin(request, options);
  const token = request.get('x-csrf-token') ?? fields['token'];
  if (!verifyCsrfToken(options.secrets.csrfKeys(), boundTo(identity), token)) throw new BackupError('CSRF_INVALID');
}

/** The part of `requireOwnPage` that needs no body. @throws BackupError `CSRF_INVALID` */
export function requireOwnOrigin(
  request: Request,
  { trustedOrigins, trustProxy }: Pick<GuardOptions, 'trustedOrigins' | 'trustProxy'>,
): void {
  const origin = {
    secFetchSite: request.get('sec-fetch-site'),
    origin: request.get('origin'),
    host: requestHost(request, trustProxy),
  };
  if (!isOwnOrigin(origin, trustedOrigins)) throw new BackupError('CSRF_INVALID');
}

function boundTo(identity: SignedIn): string {
  const who = identity.kind === 'client' ? identity.clientId : identity.adminId;
  // An empty session would bind the token to nothing that a stranger does not know.
  return identity.session === '' ? '' : `${identity.kind}:${who}:${identity.session}`;
}
