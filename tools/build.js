import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildCss } from './css.js';
import { findNode, installDependencies } from './dependencies.js';
import { root } from './place.js';
import { compileTemplates } from './templates.js';
import { report, run, say, ToolError } from './terminal.js';

/**
 * Makes what the package ships: the style sheet and dist/, the templates in it compiled. The launchers in bin/ and crons/ are shipped as they are; beside
 * no .ts file they start what lies in dist/.
 */
async function build() {
  await installDependencies();
  await buildCss();
  say('Compiling to dist/');
  const fresh = join(root, 'node_modules', `.dist-${process.pid}`);
  try {
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const args = [tsc, '--project', 'tsconfig.build.json', '--outDir', fresh];
    const { code } = await run(await findNode(), args, { cwd: root, show: true, doing: 'compiling' });
    if (code !== 0) throw new ToolError('ERR_TOOL_WRONG', 'The sources do not compile; the lines above say where.');
    await compileTemplates(join(fresh, 'src', 'http', 'templates.cjs'));
    rmSync(join(root, 'dist'), { recursive: true, force: true });
    renameSync(fresh, join(root, 'dist'));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

process.exitCode = await build().then(
  () => 0,
  (error) => report('build', error),
);
