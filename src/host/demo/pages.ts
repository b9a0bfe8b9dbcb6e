import type { Express, RequestHandler } from 'express';
import type { Knex } from 'knex';
import type { HostPort } from '../port.ts';
import type { Mailbox } from './mailbox.ts';
import { listCustomers } from './people.ts';
import { currentSignIn } from './session.ts';
import type { RenderPage } from './portal.ts';

interface Common {
  readonly knex: Knex;
  readonly host: HostPort;
  readonly storageEndpoint: string;
  readonly page: RenderPage;
  readonly clock?: () => number;
}

/** What the portal itself shows a customer. */
export function customerPages(
  app: Express,
  options: Common & { mailbox: Mailbox; requireCustomer: RequestHandler },
): void {
  const { host, mailbox, page, requireCustomer } = options;
  const clientOf = (request: Parameters<RequestHandler>[0]): number =>
    currentSignIn(request, (options.clock ?? Date.now)())?.id ?? 0;

  app.get('/', requireCustomer, async (request, response) => {
    const clientId = clientOf(request);
    page(request, response, 'overview', {
      client: await host.client(clientId),
      service: await host.serviceState(clientId),
      quota: await host.quota(clientId),
      buckets: (await host.buckets(clientId)).length,
    });
  });

  app.get('/storage', requireCustomer, async (request, response) => {
    const clientId = clientOf(request);
    const accounts = await host.storageAccounts(clientId);
    const buckets = (await host.buckets(clientId)).map((bucket) => ({
      ...bucket,
      account: accounts.find((account) => account.id === bucket.accountId)?.username ?? '',
    }));
    page(request, response, 'storage', { buckets, endpoint: options.storageEndpoint });
  });

  app.get('/support', requireCustomer, (request, response) => page(request, response, 'support', {}));

  app.get('/mailbox', requireCustomer, async (request, response) => {
    page(request, response, 'mailbox', { mails: await mailbox.list(clientOf(request)) });
  });

  app.get('/mailbox/:id', requireCustomer, async (request, response, next) => {
    const mail = await mailbox.read(clientOf(request), numberOf(request.params['id']));
    if (mail === null) return next();
    page(request, response, 'mail', { mail });
  });

  // The mail as its sender wrote it, shown in a frame that may do nothing: no scripts, no forms, no requests.
  app.get('/mailbox/:id/html', requireCustomer, async (request, response, next) => {
    const mail = await mailbox.read(clientOf(request), numberOf(request.params['id']));
    if (mail?.html === undefined || mail.html === null) return next();
    response.set(
      'Content-Security-Policy',
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox",
    );
    response.set('Cache-Control', 'no-store');
    response.type('html').send(`<!doctype html><meta charset="utf-8"><title>Mail</title>${mail.html}`);
  });
}

export function adminPages(app: Express, options: Common & { requireAdmin: RequestHandler }): void {
  app.get('/admin', options.requireAdmin, async (request, response) => {
    const customers = await listCustomers(options.knex);
    const rows = await Promise.all(
      customers.map(async (customer) => ({ ...customer, buckets: (await options.host.buckets(customer.id)).length })),
    );
    options.page(request, response, 'admin', { customers: rows });
  });
}

/** 0 is nobody's number. */
function numberOf(text: unknown): number {
  return typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : 0;
}
