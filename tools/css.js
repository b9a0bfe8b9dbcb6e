import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findNode } from './dependencies.js';
import { root } from './place.js';
import { errorLine, report, run, say, ToolError } from './terminal.js';

const source = join(root, 'views', 'app.css');
const output = join(root, 'public', 'app.css');
const vendor = join(root, 'public', 'vendor');
const stamp = join(vendor, '.stamp');

/** What the browser loads of other projects, as they publish it. */
const vendored = /** @type {const} */ ([
  ['htmx.org/dist/htmx.min.js', 'htmx.min.js'],
  ['@alpinejs/csp/dist/cdn.min.js', 'alpine-csp.min.js'],
]);

/**
 * Makes public/app.css from the templates and copies the browser's libraries to public/vendor/. Does nothing when no input
 * has changed since the last time.
 */
export async function buildCss() {
  const wanted = inputsDigest();
  if (existsSync(stamp) && existsSync(output) && readFileSync(stamp, 'utf8') === wanted) return;
  say('Building the style sheet');
  mkdirSync(vendor, { recursive: true });
  for (const [from, to] of vendored) copyFileSync(join(root, 'node_modules', from), join(vendor, to));
  const temporary = join(vendor, `.app-${process.pid}.css`);
  const cli = join(root, 'node_modules', '@tailwindcss', 'cli', 'dist', 'index.mjs');
  const { code, output: said } = await run(
    await findNode(),
    [cli, '--input', source, '--output', temporary, '--minify'],
    { cwd: root, doing: 'building' },
  );
  if (code !== 0) throw new ToolError('ERR_TOOL_WRONG', `Tailwind could not build views/app.css (${errorLine(said)}).`);
  renameSync(temporary, output);
  writeFileSync(stamp, wanted);
}

/** Every template and every script of ours may name a class. */
function inputsDigest() {
  const hash = createHash('sha256').update(JSON.stringify(vendored));
  const views = readdirSync(join(root, 'views'), { recursive: true, encoding: 'utf8' }).map((name) =>
    join('views', name),
  );
  const scripts = readdirSync(join(root, 'public')).filter((name) => name.endsWith('.js'));
  for (const file of [...views, ...scripts.map((name) => join('public', name))].sort()) {
    const path = join(root, file);
    if (statSync(path).isFile()) hash.update(`${file}\0`).update(readFileSync(path)).update('\0');
  }
  for (const name of ['tailwindcss', 'htmx.org', '@alpinejs/csp']) {
    hash.update(readFileSync(join(root, 'node_modules', name, 'package.json')));
  }
  return `${hash.digest('hex')}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = await buildCss().then(
    () => 0,
    (error) => report('css', error),
  );
}
