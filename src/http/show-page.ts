import type { Request, RequestHandler, Response } from 'express';
import { BackupError } from '../errors/backup-error.ts';
import { catalogue } from '../errors/catalogue.ts';
import type { Identity } from '../host/port.ts';
import { describeError } from '../log.ts';
import { asPublicError } from './answer.ts';
import { requireCaller, servicesFor } from './api.ts';
import type { CallerServices } from './endpoint.ts';
import { csrfTokenFor } from './guard.ts';
import { queryFields } from './input.ts';
import type { Page } from './page.ts';
import type { Portal } from './portal.ts';
import { renderPage, type BaseModel } from './views.ts';

/** Where the pages of a router lie. */
export interface Area {
  /** What every link of the answer to this request begins with. */
  base(request: Request): string;
  readonly adminPath: string;
}

export interface PageHandler {
  show(page: Page): RequestHandler;
  /** `/`: leads to the first page that is for whoever asks. */
  readonly start: RequestHandler;
  /** Answers 404 for what lies below our mount path; at the root of a domain other routes of the host may follow. */
  readonly missing: RequestHandler;
}

/** Shows pages, and errors as pages: template `pages/error.njk` with `error: { code, what, data, action, requestId, status }`. */
export function createPageHandler(portal: Portal, pages: readonly Page[], area: Area): PageHandler {
  const address = (page: Page): string => (page.caller === 'admin' ? area.adminPath : '') + page.path;

  async function baseModel(
    request: Request,
    identity: Identity,
    shown: { page?: Page; timezone: string },
  ): Promise<BaseModel & { adminBase: string }> {
    const base = area.base(request);
    const theme = portal.host.theme(request);
    return {
      base,
      adminBase: base + area.adminPath,
      csrf: identity.kind === 'nobody' ? '' : csrfTokenFor(identity, portal.secrets),
      path: request.path,
      navigation: pages.flatMap((page) =>
        page.caller === identity.kind && page.navigation !== undefined
          ? [{ label: page.navigation, href: base + address(page), current: page.section === shown.page?.section }]
          : [],
      ),
      hostNavigation: portal.host.navigation(request, identity),
      theme: { name: theme.name, stylesheet: theme.stylesheet ?? null },
      identity: { kind: identity.kind, name: await nameOf(identity) },
      timezone: shown.timezone,
      now: portal.clock(),
      product: portal.options.productName,
    };
  }

  async function nameOf(identity: Identity): Promise<string> {
    if (identity.kind === 'admin') return identity.name;
    if (identity.kind === 'nobody') return '';
    const client = await portal.host.client(identity.clientId);
    return client === null ? '' : `${client.firstName} ${client.lastName}`.trim();
  }

  async function answer(page: Page, request: Request, response: Response, identity: Identity): Promise<void> {
    const who = servicesFor(portal, requireCaller(identity, page.caller));
    const timezone = await timezoneOf(who);
    const answer = await page.show(who, {
      params: request.params,
      query: queryFields(request),
      request: { path: request.path, whole: request.get('hx-request') === undefined, timezone, now: portal.clock() },
    });
    if ('redirect' in answer) response.redirect(303, area.base(request) + answer.redirect);
    else {
      const model = { ...(await baseModel(request, identity, { page, timezone })), ...answer.model };
      renderPage(response, portal.views, answer.template, model, answer.status);
    }
  }

  async function fail(
    error: unknown,
    request: Request,
    response: Response,
    identity: Identity,
    id: string,
  ): Promise<void> {
    const shown = asPublicError(error);
    if (shown.httpStatus >= 500) {
      portal.log.error('page failed', {
        request: id,
        path: request.route ? String(request.path) : '',
        error: describeError(shown),
      });
    }
    if (response.headersSent) return;
    const signIn = shown.code === 'UNAUTHENTICATED' ? portal.host.signInUrl(request) : null;
    if (signIn !== null) return toSignIn(request, response, signIn);
    const { what, data, action } = catalogue[shown.code];
    const status = shown.httpStatus;
    const view = { code: shown.code, what, data, action, status, requestId: status >= 500 ? id : null };
    try {
      const model = await baseModel(request, identity, { timezone: portal.options.timezone });
      renderPage(response, portal.views, 'pages/error.njk', { ...model, error: view }, status);
    } catch (cause) {
      // The host or the template does not answer either: plain words always can.
      portal.log.error('error page failed', { request: id, error: describeError(cause) });
      response.status(status).type('text').send(`${what} ${action}`);
    }
  }

  async function guarded(
    request: Request,
    response: Response,
    work: (identity: Identity) => Promise<void>,
  ): Promise<void> {
    const id = portal.newId();
    response.set({ 'X-Request-Id': id, 'Cache-Control': 'no-store' });
    let identity: Identity = { kind: 'nobody' };
    try {
      identity = await portal.host.identify(request);
      await work(identity);
    } catch (error) {
      await fail(error, request, response, identity, id);
    }
  }

  return {
    show: (page) => async (request, response) =>
      await guarded(request, response, async (identity) => await answer(page, request, response, identity)),
    start: async (request, response) =>
      await guarded(request, response, async (identity) => {
        const first = pages.find((page) => page.caller === identity.kind && page.navigation !== undefined);
        if (first === undefined) throw new BackupError(identity.kind === 'nobody' ? 'UNAUTHENTICATED' : 'FORBIDDEN');
        response.redirect(303, area.base(request) + address(first));
        return await Promise.resolve();
      }),
    missing: async (request, response, next) => {
      if (request.baseUrl === '' && portal.options.basePath === '') return next();
      await guarded(request, response, async () => await Promise.reject(new BackupError('NOT_FOUND')));
    },
  };
}

async function timezoneOf(who: CallerServices): Promise<string> {
  return who.caller === 'client' ? await who.client.timezone() : await who.admin.timezone();
}

/** htmx would put the sign-in page into the middle of ours: it is told to leave the page instead. */
function toSignIn(request: Request, response: Response, signIn: string): void {
  if (request.get('hx-request') !== undefined) response.status(401).set('HX-Redirect', signIn).end();
  else response.redirect(303, signIn);
}
