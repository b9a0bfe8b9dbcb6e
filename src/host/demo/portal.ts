import { join } from 'node:path';
import express, { type Express, type NextFunction, type Request, type Response, type Router } from 'express';
import helmet, { type HelmetOptions } from 'helmet';
import type { Knex } from 'knex';
import { packageRoot } from '../../engines/tools.ts';
import { billingTables } from '../billing-tables.ts';
import type { HostPort, Identity, NavigationLink, Theme } from '../port.ts';
import type { Mailbox } from './mailbox.ts';
import { customerPages, adminPages } from './pages.ts';
import { findAdmin, findCustomer, isPasswordOf } from './people.ts';
import { currentSignIn, identify, isOwnForm, ownPath, sessions, signIn, signOut } from './session.ts';
import { createDemoViews, type DemoViews } from './views.ts';

/** Where the backup pages are mounted in this portal. */
export const MOUNTED_AT = '/backup';

/** The theme of Northwind Hosting; the names are those of docs/mounting.md. */
const theme: Theme = {
  name: 'Northwind Hosting',
  variables: { accent: '#0b6e6e', 'on-accent': '#ffffff' },
};

const customerMenu: readonly NavigationLink[] = [
  { label: 'Overview', href: '/' },
  { label: 'Cloud storage', href: '/storage' },
  { label: 'Backup', href: MOUNTED_AT },
  { label: 'Mailbox', href: '/mailbox' },
  { label: 'Support', href: '/support' },
  { label: 'Sign out', href: '/sign-out' },
];

const adminMenu: readonly NavigationLink[] = [
  { label: 'Customers', href: '/admin' },
  { label: 'Backup', href: `${MOUNTED_AT}/admin` },
  { label: 'Sign out', href: '/sign-out' },
];

const strangerMenu: readonly NavigationLink[] = [
  { label: 'Customer sign-in', href: '/sign-in' },
  { label: 'Admin sign-in', href: '/admin/sign-in' },
];

function menuOf(identity: Identity): readonly NavigationLink[] {
  if (identity.kind === 'client') return customerMenu;
  return identity.kind === 'admin' ? adminMenu : strangerMenu;
}

/** The host port of the demo: the adapter for billing tables, and what only this portal knows. */
export function createDemoHost(knex: Knex, mailbox: Mailbox, clock: () => number = Date.now): HostPort {
  return billingTables({
    knex,
    identify: (request) => identify(request, clock()),
    signInUrl: (request) => {
      const page = request.path.startsWith('/admin') ? '/admin/sign-in' : '/sign-in';
      return `${page}?next=${encodeURIComponent(request.originalUrl)}`;
    },
    confirmPassword: async (clientId, password) => await isPasswordOf(knex, clientId, password),
    theme: () => theme,
    navigation: (_, identity) => [...menuOf(identity)],
    sendEmail: mailbox.send,
  });
}

export interface DemoPortalOptions {
  readonly knex: Knex;
  readonly host: HostPort;
  readonly mailbox: Mailbox;
  /** Signs the session cookie. */
  readonly sessionKey: string;
  /** Address of the embedded storage, for the page that shows it. */
  readonly storageEndpoint: string;
  /** Our router, as any host mounts it. */
  readonly backup: Router;
  readonly clock?: () => number;
}

/** The small billing portal that the demo mounts the backup pages in. */
export function createDemoPortal(options: DemoPortalOptions): Express {
  const clock = options.clock ?? Date.now;
  const views = createDemoViews(theme);
  const app = express();
  app.disable('x-powered-by');
  app.use(sessions(options.sessionKey));
  // Before everything else of ours: the router brings its own headers, body limits and errors.
  app.use(MOUNTED_AT, options.backup);
  app.use(helmet(headers));
  app.use('/assets', express.static(join(packageRoot(), 'public'), { index: false }));
  app.get('/theme.css', (_, response) => void response.type('css').send(views.themeCss));
  signInPages(app, options.knex, views, clock);
  const page = pageRenderer(views, clock);
  customerPages(app, { ...options, page, requireCustomer: requireKind('client', clock) });
  adminPages(app, { ...options, page, requireAdmin: requireKind('admin', clock) });
  app.use((request, response) => page(request, response.status(404), 'missing', {}));
  app.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) return void next(error);
    const status = (error as { status?: unknown } | null)?.status;
    page(request, response.status(typeof status === 'number' && status >= 400 ? status : 500), 'broken', {});
  });
  return app;
}

const headers: HelmetOptions = {
  contentSecurityPolicy: {
    directives: {
      defaultSrc: ["'self'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", 'data:'],
      frameSrc: ["'self'"],
      frameAncestors: ["'self'"],
      upgradeInsecureRequests: null,
    },
  },
  // Loopback only: there is no TLS, and browsers must not expect it there.
  strictTransportSecurity: false,
  // Forms are known by their origin, which `no-referrer` would blank.
  referrerPolicy: { policy: 'same-origin' },
};

/** Renders one page of the portal in its frame. */
export type RenderPage = (
  request: Request,
  response: Response,
  template: string,
  model: Readonly<Record<string, unknown>>,
) => void;

function pageRenderer(views: DemoViews, clock: () => number): RenderPage {
  return (request, response, template, model) => {
    const who = currentSignIn(request, clock());
    const menu = menuOf(identify(request, clock())).map((link) => ({ ...link, current: link.href === request.path }));
    response.type('html').set('Cache-Control', 'no-store');
    response.send(views.render(template, { ...model, menu, name: who?.name ?? null, now: clock() }));
  };
}

/** Lets a request through when the right kind of person is signed in, else leads to the sign-in page. */
function requireKind(kind: 'client' | 'admin', clock: () => number) {
  return (request: Request, response: Response, next: NextFunction): void => {
    if (identify(request, clock()).kind === kind) return next();
    const page = kind === 'admin' ? '/admin/sign-in' : '/sign-in';
    response.redirect(303, `${page}?next=${encodeURIComponent(request.originalUrl)}`);
  };
}

function signInPages(app: Express, knex: Knex, views: DemoViews, clock: () => number): void {
  const page = pageRenderer(views, clock);
  const form = express.urlencoded({ extended: false, limit: '8kb' });
  const kinds = [
    { path: '/sign-in', home: '/', find: findCustomer, admin: false },
    { path: '/admin/sign-in', home: '/admin', find: findAdmin, admin: true },
  ] as const;
  for (const { path, home, find, admin } of kinds) {
    app.get(path, (request, response) => {
      page(request, response, 'sign-in', { admin, path, next: ownPath(request.query['next'], home), given: '' });
    });
    app.post(path, form, async (request, response) => {
      const fields = (request.body ?? {}) as Record<string, unknown>;
      const given = typeof fields['user'] === 'string' ? fields['user'].slice(0, 200) : '';
      const password = typeof fields['password'] === 'string' ? fields['password'].slice(0, 200) : '';
      const next = ownPath(fields['next'], home);
      const who = isOwnForm(request) ? await find(knex, given, password) : null;
      if (who === null) {
        page(request, response.status(401), 'sign-in', { admin, path, next, given, failed: true });
        return;
      }
      signIn(request, who, clock());
      response.redirect(303, next);
    });
  }
  app.get('/sign-out', (request, response) => page(request, response, 'sign-out', {}));
  app.post('/sign-out', (request, response) => {
    if (isOwnForm(request)) signOut(request);
    response.redirect(303, '/sign-in');
  });
}
