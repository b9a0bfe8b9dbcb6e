import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { helpText, parseCommandLine } from '../src/command-line.ts';

const executable = {
  name: 'worker',
  summary: 'Carries out queued runs.',
  notes: '\nIts exit code is 0.\n',
  positionals: [{ name: 'job', description: 'The job', optional: true }],
  options: {
    config: { type: 'string', short: 'c', value: 'file', description: 'Configuration', default: '/etc/e3.yml' },
    check: { type: 'boolean', description: 'Only look' },
    only: { type: 'string', description: 'Only these', multiple: true },
    name: { type: 'string', description: 'Name' },
  },
} as const;

describe('a command line', () => {
  it('gives defaults to what is not given', () => {
    expect(parseCommandLine(executable, [])).toEqual({
      values: { config: '/etc/e3.yml', check: false, only: [], name: undefined },
      positionals: [],
    });
  });

  it('gives what is given, in every way of writing', () => {
    expect(parseCommandLine(executable, ['-c', 'a.yml', '--check', '--only=x', '--only', 'y', 'j1'])).toEqual({
      values: { config: 'a.yml', check: true, only: ['x', 'y'], name: undefined },
      positionals: ['j1'],
    });
  });

  it.each([
    [['--chek'], `Unknown option '--chek'. Run worker --help to see what can be given.`],
    [['a', 'b'], `'b' is not expected here. Run worker --help to see what can be given.`],
    [['--check=yes'], `Option '--check' does not take an argument. Run worker --help to see what can be given.`],
  ])('refuses %j with one sentence', (argv, message) => {
    expect(() => parseCommandLine(executable, argv)).toThrow(expect.objectContaining({ code: 'ERR_USAGE', message }));
  });

  it('misses an option and a positional that must be there', () => {
    const strict = {
      ...executable,
      positionals: [{ name: 'job', description: 'The job' }],
      options: { to: { type: 'string', description: 'Target', required: true } },
    } as const;
    expect(() => parseCommandLine(strict, ['j1'])).toThrow('The option --to is missing.');
    expect(() => parseCommandLine(strict, ['--to', 'x'])).toThrow('<job> is missing.');
  });

  it('is explained by --help', () => {
    expect(helpText(executable)).toBe(`Usage: worker [job] [options]

Carries out queued runs.

  job                  The job
  -c, --config <file>  Configuration (default: /etc/e3.yml)
      --check          Only look
      --only <value>   Only these (may be repeated)
      --name <value>   Name
  -h, --help           Show this text
      --version        Show the version, and the versions of the tools

Its exit code is 0.
`);
  });
});

describe('an executable that fails', () => {
  const module = new URL('../src/command-line.ts', import.meta.url).href;
  const failing = (error: string): string[] => [
    '--input-type=module',
    '--eval',
    `import { runExecutable } from '${module}';
     await runExecutable({ name: 'x', summary: '', options: {}, main() { throw Object.assign(${error}); } });`,
  ];

  it.each([
    [
      'MariaDB',
      `new Error("insert into t values ('hunter2') - Duplicate entry"), { errno: 1062, sqlMessage: 'Duplicate entry' }`,
      'x: Duplicate entry. [ERR_INTERNAL]',
    ],
    [
      'SQLite',
      `new Error("insert into t values ('hunter2') - UNIQUE constraint failed: t.a"), { code: 'SQLITE_CONSTRAINT_UNIQUE' }`,
      'x: UNIQUE constraint failed: t.a. [ERR_INTERNAL]',
    ],
  ])('shows what %s says, and not the values of the statement', (_what, error, line) => {
    const ended = spawnSync(process.execPath, failing(error), { encoding: 'utf8', env: { ...process.env, DEBUG: '' } });
    expect([ended.status, ended.stderr.split('\n')[0]]).toEqual([1, line]);
    expect(ended.stderr).not.toContain('hunter2');
  });
});
