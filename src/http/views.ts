import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Response } from 'express';
import nunjucks from 'nunjucks';
import { packageRoot } from '../engines/tools.ts';
import type { NavigationLink } from '../host/port.ts';
import { formatBytes, formatCount, formatDuration, formatRelative, formatSpeed, formatTime } from './format.ts';

export interface NavigationEntry extends NavigationLink {
  readonly current: boolean;
}

/** What every template has, beside what its page gives. Addresses begin with `base` and are never absolute to the domain. */
export interface BaseModel {
  /** Prefix of every link: `/backup`, or '' when mounted at the root. Links are `{{ base }}/jobs`. */
  readonly base: string;
  /** The same for links to admin pages: `/backup/admin`. */
  readonly adminBase: string;
  /** For `<meta name="csrf-token">`; pages send it as `X-CSRF-Token`. Empty when nobody is signed in. */
  readonly csrf: string;
  /** Path below the base path, without query. */
  readonly path: string;
  /** Our own navigation. */
  readonly navigation: readonly NavigationEntry[];
  /** The host's links: back to its portal, sign out. */
  readonly hostNavigation: readonly NavigationLink[];
  /** `stylesheet` is the host's own, or null. The theme's variables are in `{{ base }}/theme.css`. */
  readonly theme: { readonly name: string; readonly stylesheet: string | null };
  readonly identity: { readonly kind: 'client' | 'admin' | 'nobody'; readonly name: string };
  readonly timezone: string;
  /** Epoch milliseconds when the page was made. */
  readonly now: number;
  /** Name of the product as customers know it. */
  readonly product: string;
}

export type Model = BaseModel & Readonly<Record<string, unknown>>;

export interface Views {
  render(template: string, model: Model): string;
}

/** Others than those of the package. */
export interface ViewFolders {
  readonly views?: string;
  readonly assets?: string;
  /** File of compiled templates, used where no folder of templates is given. */
  readonly compiled?: string;
}

/**
 * Nunjucks over views/, everything escaped. Filters: `bytes`, `speed`, `count`, `duration` (milliseconds), `relative` and `time`
 * (epoch milliseconds or ISO text), `iso`. Globals: `asset('app.css')`, the address of a file of public/ that changes with its content.
 */
export function createViews(folders: ViewFolders = {}): Views {
  const root = packageRoot();
  const environment = new nunjucks.Environment(loaderOf(folders), {
    autoescape: true,
    trimBlocks: true,
    lstripBlocks: true,
  });
  environment.addFilter('bytes', formatBytes);
  environment.addFilter('iso', (at: unknown) => new Date(asTime(at) ?? 0).toISOString());
  environment.addFilter('speed', formatSpeed);
  environment.addFilter('count', formatCount);
  environment.addFilter('duration', formatDuration);
  environment.addFilter(
    'relative',
    withModel((model, at) => formatRelative(asTime(at), model.now)),
  );
  environment.addFilter(
    'time',
    withModel((model, at) => formatTime(asTime(at), model.timezone)),
  );
  const address = assetAddresses(folders.assets ?? join(root, 'public'));
  return {
    render: (template, model) =>
      environment.render(template, { ...model, asset: (name: string) => `${model.base}/assets/${address(name)}` }),
  };
}

/** Templates come from a folder; those of the package that were compiled when it was built (`tools/templates.js`) are taken as they are. */
function loaderOf({ views, compiled = fileURLToPath(new URL('./templates.cjs', import.meta.url)) }: ViewFolders) {
  const noCache = process.env['NODE_ENV'] === 'development';
  if (views === undefined && !noCache && existsSync(compiled)) {
    // An object of templates by their names, whatever its types say.
    const templates = createRequire(import.meta.url)(compiled) as unknown[];
    return new nunjucks.PrecompiledLoader(templates);
  }
  return new nunjucks.FileSystemLoader(views ?? join(packageRoot(), 'views'), { noCache });
}

/** Sends one page. Pages are private and always fresh. */
export function renderPage(response: Response, views: Views, template: string, model: Model, status = 200): void {
  response.status(status).type('html').send(views.render(template, model));
}

type TimedModel = Pick<BaseModel, 'now' | 'timezone'>;

/** Nunjucks calls filters with the template's context as `this`. */
function withModel(filter: (model: TimedModel, value: unknown) => unknown) {
  return function (this: { ctx: TimedModel }, value: unknown): unknown {
    return filter(this.ctx, value);
  };
}

function asTime(value: unknown): number | null {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return null;
  const time = Date.parse(value);
  return Number.isNaN(time) ? null : time;
}

/** `app.css` → `app.css?v=<hash of its content>`, so that browsers may keep it for ever. */
function assetAddresses(folder: string): (name: string) => string {
  const known = new Map<string, { changed: number; version: string }>();
  return (name) => {
    const file = join(folder, name);
    let changed: number;
    try {
      changed = statSync(file).mtimeMs;
    } catch {
      return name;
    }
    let entry = known.get(name);
    if (entry?.changed !== changed) {
      entry = { changed, version: createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 12) };
      known.set(name, entry);
    }
    return `${name}?v=${entry.version}`;
  };
}
