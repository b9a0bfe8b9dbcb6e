import express, { type Request, type Response, type Router } from 'express';
import { BackupError } from '../errors/backup-error.ts';
import type { Identity } from '../host/port.ts';
import { describeError } from '../log.ts';
import { asPublicError, sendFailure, sendSuccess, sendUnlessKnown } from './answer.ts';
import { commonErrors, type Caller, type CallerServices, type Endpoint } from './endpoint.ts';
import { requireOwnOrigin, requireOwnPage, type SignedIn } from './guard.ts';
import { bodyFields, queryFields } from './input.ts';
import { perCaller } from './limits.ts';
import { passThrough, type Portal } from './portal.ts';
import { ReaderGone, requireMeant, sendStream } from './stream-answer.ts';

/**
 * Answers `/<name>` and `/<name>.php` for every endpoint of the list, in one envelope:
 * `{ status: 'success', … }` or `{ status: 'fail', message, code, … }`.
 */
export function apiRouter(portal: Portal, endpoints: readonly Endpoint[]): Router {
  const byName = new Map(endpoints.map((endpoint) => [endpoint.name, endpoint]));
  const router = express.Router({ caseSensitive: true, strict: true });
  const identities = new WeakMap<Request, Identity>();
  const {
    bodyLimitBytes: limit,
    trustProxy,
    connectionTestsPerMinute,
    folderLooksPerMinute,
    changesPerMinute,
    browsesPerMinute,
  } = portal.options;
  const parsers = [
    express.json({ limit, strict: true }),
    express.urlencoded({ limit, extended: false, parameterLimit: 500 }),
  ];
  const counted = { trustProxy, identityOf: (request: Request) => identities.get(request) };
  const limits = {
    connection: perCaller(connectionTestsPerMinute, counted),
    folders: perCaller(folderLooksPerMinute, counted),
    change: perCaller(changesPerMinute, counted),
    browse: perCaller(browsesPerMinute, counted),
  };

  async function handle(endpoint: Endpoint, request: Request, response: Response): Promise<void> {
    requireMethod(endpoint, request, response);
    const identity = await portal.host.identify(request);
    identities.set(request, identity);
    const signedIn = requireCaller(identity, endpoint.caller);
    // What another site makes a browser send must not use up what its owner may do: neither here nor below.
    if (endpoint.method === 'POST') {
      requireOwnOrigin(request, portal.options);
      await passThrough(limits.change, request, response, ignore);
    }
    const fields = await readFields(endpoint, request, response);
    if (endpoint.method === 'POST')
      requireOwnPage(request, signedIn, fields, { ...portal.options, secrets: portal.secrets });
    if (endpoint.rate !== undefined) await passThrough(limits[endpoint.rate], request, response, ignore);
    if (endpoint.open !== undefined) {
      requireMeant(request);
      await sendStream(response, await endpoint.open(servicesFor(portal, signedIn), fields));
      return;
    }
    const body = await endpoint.answer(servicesFor(portal, signedIn), fields);
    if (endpoint.etag === true) sendUnlessKnown(response, body, request.get('if-none-match'));
    else sendSuccess(response, body);
  }

  async function readFields(
    endpoint: Endpoint,
    request: Request,
    response: Response,
  ): Promise<Record<string, unknown>> {
    if (endpoint.method === 'GET') return queryFields(request);
    for (const parser of parsers) await passThrough(parser, request, response, ignore);
    const unread = request.body === undefined && Number(request.get('content-length') ?? 0) > 0;
    if (unread) throw new BackupError('BAD_REQUEST');
    return bodyFields(request);
  }

  router.all('/:name', async (request, response) => {
    const requestId = portal.newId();
    response.set({ 'X-Request-Id': requestId, 'Cache-Control': 'no-store' });
    const name = request.params.name.replace(/\.php$/, '');
    const endpoint = byName.get(name);
    try {
      if (endpoint === undefined) throw new BackupError('NOT_FOUND');
      await handle(endpoint, request, response);
    } catch (error) {
      if (error instanceof ReaderGone) return;
      const shown = asPublicError(error);
      logFailure(
        portal,
        { requestId, name: endpoint?.name ?? 'unknown endpoint', method: request.method },
        shown,
        endpoint,
      );
      if (!response.headersSent) sendFailure(response, shown, requestId);
    }
  });
  return router;
}

/** Who may use what a caller of this kind may use. @throws BackupError `UNAUTHENTICATED`, `FORBIDDEN` */
export function requireCaller(identity: Identity, caller: Caller): SignedIn {
  if (identity.kind === 'nobody') throw new BackupError('UNAUTHENTICATED');
  if (identity.kind !== caller) throw new BackupError('FORBIDDEN');
  return identity;
}

export function servicesFor(portal: Portal, identity: SignedIn): CallerServices {
  return identity.kind === 'client'
    ? { caller: 'client', client: portal.services.forClient(identity.clientId) }
    : { caller: 'admin', admin: portal.services.forAdmin({ adminId: identity.adminId, name: identity.name }) };
}

function requireMethod(endpoint: Endpoint, request: Request, response: Response): void {
  // A download is not prepared only to be thrown away.
  const reads = endpoint.open === undefined ? ['GET', 'HEAD'] : ['GET'];
  const allowed = endpoint.method === 'GET' ? reads : ['POST'];
  if (allowed.includes(request.method)) return;
  response.set('Allow', allowed.join(', '));
  throw new BackupError('METHOD_NOT_ALLOWED');
}

/** Failures of ours are logged with all their causes; refusals are of interest only when somebody looks for them. */
function logFailure(
  portal: Portal,
  about: { requestId: string; name: string; method: string },
  shown: BackupError,
  endpoint: Endpoint | undefined,
): void {
  const fields = { request: about.requestId, endpoint: about.name, method: about.method };
  if (shown.httpStatus === 500) portal.log.error('request failed', { ...fields, error: describeError(shown) });
  else if (shown.httpStatus > 500) portal.log.warn('request failed', { ...fields, error: describeError(shown) });
  else portal.log.debug('request refused', { ...fields, code: shown.code });
  const declared = endpoint === undefined || [...commonErrors, ...endpoint.errors, 'NOT_FOUND'].includes(shown.code);
  if (!declared)
    portal.log.warn('an endpoint answered with a code that it does not declare', { ...fields, code: shown.code });
}

/** `passThrough` gives the middleware a `next` of its own. */
function ignore(): void {}
