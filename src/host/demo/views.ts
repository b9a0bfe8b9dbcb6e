import { join } from 'node:path';
import nunjucks from 'nunjucks';
import { packageRoot } from '../../engines/tools.ts';
import { formatBytes, formatRelative, formatTime } from '../../http/format.ts';
import { themeSheet } from '../../http/theme.ts';
import type { Theme } from '../port.ts';

export interface DemoViews {
  /** A template of views/demo/, without its ending. */
  render(template: string, model: Readonly<Record<string, unknown>>): string;
  /** The theme as a style sheet, for the portal's own pages. */
  readonly themeCss: string;
}

export function createDemoViews(theme: Theme): DemoViews {
  const loader = new nunjucks.FileSystemLoader(join(packageRoot(), 'views'));
  const environment = new nunjucks.Environment(loader, { autoescape: true, trimBlocks: true, lstripBlocks: true });
  environment.addFilter('bytes', formatBytes);
  environment.addFilter('relative', (at: number, now: number) => formatRelative(at, now));
  environment.addFilter('iso', (at: number) => new Date(at).toISOString());
  environment.addFilter('exact', (at: number) => formatTime(at, 'UTC'));
  return {
    render: (template, model) => environment.render(`demo/${template}.njk`, { ...model, portal: theme.name }),
    themeCss: themeSheet(theme),
  };
}
