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
import { perCaller } from './limits.ts';
import type { Page } from './page.ts';
import { passThrough, type Portal } from './portal.ts';
import { renderPage, type BaseModel } from './views.ts';

/** Where the pages of a router lie. */
export interface Area {
  /** What every link of the answer to this request begins with. */
  base(request: Request): string;
  readonly adminPath: string;
}

/** Shows pages, and errors as pages: template `pages/error.njk` with `error: { code, what, data, action, requestId, status }`. */
export class PageHandler {
  readonly #portal: Portal;
  readonly #pages: readonly Page[];
  readonly #area: Area;
  readonly #identities = new WeakMap<Request, Identity>();
  readonly #browseLimit: RequestHandler;

  constructor(portal: Portal, pages: readonly Page[], area: Area) {
    this.#portal = portal;
    this.#pages = pages;
    this.#area = area;
    const { browsesPerMinute, trustProxy } = portal.options;
    const identityOf = (request: Request): Identity | undefined => this.#identities.get(request);
    this.#browseLimit = perCaller(browsesPerMinute, { trustProxy, identityOf });
  }

  show(page: Page): RequestHandler {
    return this.#guarded(async (request, response, identity) => {
      const who = servicesFor(this.#portal, requireCaller(identity, page.caller));
      this.#identities.set(request, identity);
      if (page.rate === 'browse') await passThrough(this.#browseLimit, request, response, () => undefined);
      const timezone = await timezoneOf(who);
      const answer = await page.show(who, {
        params: request.params,
        query: queryFields(request),
        request: {
          path: request.path,
          whole: request.get('hx-request') === undefined,
          timezone,
          now: this.#portal.clock(),
        },
      });
      if ('redirect' in answer) return response.redirect(303, this.#area.base(request) + answer.redirect);
      const model = { ...(await this.#baseModel(request, identity, timezone, page)), ...answer.model };
      renderPage(response, this.#portal.views, answer.template, model, answer.status);
    });
  }

  /** `/`: leads to the first page that is for whoever asks. */
  readonly start = this.#guarded(async (request, response, identity) => {
    const first = this.#pages.find((page) => page.caller === identity.kind && page.navigation !== undefined);
    if (first === undefined) throw new BackupError(identity.kind === 'nobody' ? 'UNAUTHENTICATED' : 'FORBIDDEN');
    response.redirect(303, this.#area.base(request) + this.#address(first));
    return await Promise.resolve();
  });

  readonly #notFound = this.#guarded(async () => await Promise.reject(new BackupError('NOT_FOUND')));

  /** Answers 404 for what lies below our mount path; at the root of a domain other routes of the host may follow. */
  readonly missing: RequestHandler = (request, response, next) => {
    if (request.baseUrl === '' && this.#portal.options.basePath === '') return next();
    return this.#notFound(request, response, next);
  };

  #guarded(work: (request: Request, response: Response, identity: Identity) => Promise<void>): RequestHandler {
    return async (request, response) => {
      const id = this.#portal.newId();
      response.set({ 'X-Request-Id': id, 'Cache-Control': 'no-store' });
      let identity: Identity = { kind: 'nobody' };
      try {
        identity = await this.#portal.host.identify(request);
        await work(request, response, identity);
      } catch (error) {
        await this.#fail(asPublicError(error), request, response, identity, id);
      }
    };
  }

  async #fail(shown: BackupError, request: Request, response: Response, identity: Identity, id: string): Promise<void> {
    const { log, options, views, host } = this.#portal;
    const status = shown.httpStatus;
    if (status >= 500) log.error('page failed', { request: id, path: request.path, error: describeError(shown) });
    if (response.headersSent) return;
    const signIn = shown.code === 'UNAUTHENTICATED' ? host.signInUrl(request) : null;
    if (signIn !== null) return toSignIn(request, response, signIn);
    const { what, data, action } = catalogue[shown.code];
    const error = { code: shown.code, what, data, action, status, requestId: status >= 500 ? id : null };
    try {
      const model = await this.#baseModel(request, identity, options.timezone);
      renderPage(response, views, 'pages/error.njk', { ...model, error }, status);
    } catch (cause) {
      // The host or the template does not answer either: plain words always can.
      log.error('error page failed', { request: id, error: describeError(cause) });
      response.status(status).type('text').send(`${what} ${action}`);
    }
  }

  async #baseModel(request: Request, identity: Identity, timezone: string, shown?: Page): Promise<BaseModel> {
    const { host, secrets, clock, options } = this.#portal;
    const base = this.#area.base(request);
    const theme = host.theme(request);
    return {
      base,
      adminBase: base + this.#area.adminPath,
      csrf: identity.kind === 'nobody' ? '' : csrfTokenFor(identity, secrets),
      path: request.path,
      navigation: this.#pages.flatMap((page) =>
        page.caller === identity.kind && page.navigation !== undefined
          ? [{ label: page.navigation, href: base + this.#address(page), current: page.section === shown?.section }]
          : [],
      ),
      hostNavigation: host.navigation(request, identity),
      theme: { name: theme.name, stylesheet: theme.stylesheet ?? null },
      identity: { kind: identity.kind, name: await this.#nameOf(identity) },
      timezone,
      now: clock(),
      product: options.productName,
    };
  }

  async #nameOf(identity: Identity): Promise<string> {
    if (identity.kind === 'admin') return identity.name;
    if (identity.kind === 'nobody') return '';
    const client = await this.#portal.host.client(identity.clientId);
    return client === null ? '' : `${client.firstName} ${client.lastName}`.trim();
  }

  #address(page: Page): string {
    return (page.caller === 'admin' ? this.#area.adminPath : '') + page.path;
  }
}

async function timezoneOf(who: CallerServices): Promise<string> {
  return who.caller === 'client' ? await who.client.timezone() : await who.admin.timezone();
}

/** htmx would put the sign-in page into the middle of ours: it is told to leave the page instead. */
function toSignIn(request: Request, response: Response, signIn: string): void {
  if (request.get('hx-request') !== undefined) response.status(401).set('HX-Redirect', signIn).end();
  else response.redirect(303, signIn);
}
