import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { packageRoot } from '../../src/engines/tools.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'e3-reporter-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function runJest(suites: Record<string, string>, environment: NodeJS.ProcessEnv = {}) {
  for (const [name, source] of Object.entries(suites)) writeFileSync(join(folder, name), source);
  const config = { rootDir: folder, reporters: [join(packageRoot(), 'test', 'setup', 'reporter.js')], transform: {} };
  return spawnSync(
    process.execPath,
    [join(packageRoot(), 'node_modules', 'jest', 'bin', 'jest.js'), '--config', JSON.stringify(config)],
    { cwd: folder, encoding: 'utf8', env: { ...process.env, E3_TEST_SUMMARY: '', ...environment } },
  );
}

const suites = {
  'good.test.js': `test('a', () => console.log('something')); test('b', () => {});`,
  'bad.test.js': `test('c', () => { throw new Error('no'); });`,
  'broken.test.js': `import from;`,
};

describe('the closing line', () => {
  it('is the last of the output and counts a suite that does not load as a failure', () => {
    const { status, stdout } = runJest(suites);
    expect(status).toBe(1);
    expect(stdout.endsWith('\n2 passed, 2 failed\n') || stdout === '2 passed, 2 failed\n').toBe(true);
  });

  it('is left to the driver when that asks for the counts', () => {
    const summary = join(folder, 'summary.json');
    const { stdout } = runJest(suites, { E3_TEST_SUMMARY: summary });
    expect(stdout).not.toContain('passed,');
    expect(JSON.parse(readFileSync(summary, 'utf8'))).toEqual({ passed: 2, failed: 2 });
  });
});
