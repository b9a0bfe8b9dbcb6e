import { join } from 'node:path';
import express, { type Request, type Response, type Router } from 'express';
import { packageRoot } from '../engines/tools.ts';
import { BackupError } from '../errors/backup-error.ts';
import { describeError } from '../log.ts';
import { asPublicError, sendFailure } from './answer.ts';
import { apiRouter } from './api.ts';
import type { Caller, Endpoint } from './endpoint.ts';
import { healthHandler } from './health.ts';
import { queryFields } from './input.ts';
import { formerAddress } from './old-addresses.ts';
import type { Page } from './page.ts';
import { PageHandler, type Area } from './show-page.ts';
import type { Portal } from './portal.ts';
import { secureHeaders } from './secure-headers.ts';
import { themeSheet } from './theme.ts';

export interface RouterParts {
  readonly endpoints: readonly Endpoint[];
  readonly pages: readonly Page[];
  /** Whose endpoints and pages this router has. */
  readonly callers: readonly Caller[];
  /** Where admin pages lie below the router: `/admin` beside the clients' pages, '' when the router is for admins alone. */
  readonly adminPath: string;
}

/**
 * Everything below the place where a host mounts us: `/api/<name>`, pages, `/assets`, `/theme.css`, `/health`, and the addresses of
 * the predecessors. A plain Express router: it works in any Express 5 app, under any path.
 */
export function portalRouter(portal: Portal, parts: RouterParts): Router {
  const router = express.Router();
  const area: Area = { base: (request) => portal.options.basePath + request.baseUrl, adminPath: parts.adminPath };
  const ours = <Part extends { caller: Caller }>(list: readonly Part[]): Part[] =>
    list.filter((part) => parts.callers.includes(part.caller));
  const pages = ours(parts.pages);
  const pageHandler = new PageHandler(portal, pages, area);
  const headers = secureHeaders(portal.options.styleOrigins);

  router.use(headers.set);
  router.get('/health', healthHandler(portal));
  router.use('/assets', assets());
  router.get('/theme.css', (request, response) => {
    response
      .set('Cache-Control', 'private, max-age=300')
      .type('css')
      .send(themeSheet(portal.host.theme(request)));
  });
  router.use('/api', apiRouter(portal, ours(parts.endpoints)), (_request, response) => {
    response.set('Cache-Control', 'no-store');
    sendFailure(response, new BackupError('NOT_FOUND'), portal.newId());
  });
  for (const file of ['index.php', 'addonmodules.php']) {
    router.get(`/${file}`, (request, response, next) => {
      const former = formerAddress(file, queryFields(request));
      if (former === null || !parts.callers.includes(former.area)) next();
      else response.redirect(301, area.base(request) + (former.area === 'admin' ? parts.adminPath : '') + former.path);
    });
  }
  for (const page of pages) {
    const path = page.caller === 'admin' ? parts.adminPath + (page.path === '/' ? '' : page.path) : page.path;
    router.get(path === '' ? '/' : path, pageHandler.show(page));
  }
  if (!pages.some((page) => page.path === '/' && (page.caller === 'client' || parts.adminPath === ''))) {
    router.get('/', pageHandler.start);
  }
  router.use(pageHandler.missing, headers.takeBack);
  // What no handler of ours was asked about: an address that cannot be decoded, above all.
  router.use((error: unknown, request: Request, response: Response, next: (error: unknown) => void) => {
    if (response.headersSent) return next(error);
    const shown = asPublicError(error);
    const id = portal.newId();
    if (shown.httpStatus >= 500) portal.log.error('request failed', { request: id, error: describeError(shown) });
    response.set({ 'X-Request-Id': id, 'Cache-Control': 'no-store' });
    if (request.path.startsWith('/api/')) sendFailure(response, shown, id);
    else response.status(shown.httpStatus).type('text').send(shown.message);
  });
  return router;
}

/** public/, public as its name says. An address with `?v=` names one content for ever. */
function assets(): express.RequestHandler {
  return express.static(join(packageRoot(), 'public'), {
    index: false,
    dotfiles: 'ignore',
    setHeaders: (response) => {
      const named = /[?&]v=/.test((response as Response).req.originalUrl);
      response.setHeader('Cache-Control', named ? 'public, max-age=31536000, immutable' : 'public, max-age=300');
    },
  });
}
