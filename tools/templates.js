import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './place.js';

/**
 * Compiles the templates of views/ into one CommonJS file, which src/http/views.ts takes when it lies beside it: a portal that compiles them
 * itself takes ten megabytes more, and longer for each first page.
 * @param {string} file
 */
export async function compileTemplates(file) {
  const { default: nunjucks } = await import('nunjucks');
  const views = join(root, 'views');
  // As src/http/views.ts reads them.
  const options = { autoescape: true, trimBlocks: true, lstripBlocks: true };
  const env = new nunjucks.Environment(new nunjucks.FileSystemLoader(views), options);
  /** @param {readonly { name: string, template: string }[]} templates */
  const wrapper = (templates) =>
    `module.exports = {\n${templates.map(({ name, template }) => `${JSON.stringify(name)}: (function () {${template}})()`).join(',\n')}\n};\n`;
  // Its types know of one template only.
  const precompile = /** @type {(folder: string, options: object) => string} */ (nunjucks.precompile);
  writeFileSync(file, precompile(views, { env, include: [/\.njk$/], wrapper }));
}
