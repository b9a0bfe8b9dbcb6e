import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * Starts the main file that belongs to a launcher: `bin/worker.js` starts `bin/worker.ts` in a checkout and
 * `dist/bin/worker.js` in the installed package. It is plain JavaScript, imports nothing but Node and looks at Node's
 * version first, because a too old Node fails on the main file with a text that helps nobody.
 *
 * @param {string} launcherUrl the launcher's own import.meta.url
 */
export async function launch(launcherUrl) {
  const launcher = fileURLToPath(launcherUrl);
  const root = dirname(dirname(launcher));
  const source = launcher.replace(/\.js$/, '.ts');
  const fromSource = existsSync(source);

  // Node 22.18 is the first that runs .ts files without a flag.
  const needed = fromSource ? { major: 22, minor: 18 } : { major: 22, minor: 15 };
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < needed.major || (major === needed.major && minor < needed.minor)) {
    const name = relative(root, launcher);
    stop(
      `${name} needs Node ${needed.major}.${needed.minor} or newer, and this is ${process.versions.node}. ` +
        (fromSource
          ? `Run "npm install" once, then "node_modules/.bin/node ${name}".`
          : 'Install Node 24 LTS, and start it with that one.'),
    );
  }

  const main = fromSource ? source : join(root, 'dist', relative(root, launcher));
  if (!existsSync(main)) stop(`${main} is missing. Run "npm run build".`);
  await import(pathToFileURL(main).href);
}

/** @param {string} sentence */
function stop(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}
