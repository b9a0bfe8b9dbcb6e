import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import knexFactory from 'knex';
import { packageRoot } from '../../src/engines/tools.ts';
import { billingTables } from '../../src/host/billing-tables.ts';
import { optionFields } from '../../src/options.ts';

const read = (path: string): string => readFileSync(join(packageRoot(), path), 'utf8');
const document = read('docs/mounting.md');

/** What stands in backquotes in the first cells of a table's rows, the table being found by its head. */
function namesInTable(head: string, cell = 0): string[] {
  const lines = document.split('\n');
  const start = lines.findIndex((line) => line.startsWith(head));
  if (start < 0) throw new Error(`docs/mounting.md has no table "${head}"`);
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'));
  return lines
    .slice(start + 2, end)
    .flatMap((line) => [...(line.split('|')[cell + 1] ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''));
}

describe('docs/mounting.md', () => {
  it('lists every option with its name in the environment', () => {
    expect(namesInTable('| option | environment')).toEqual(Object.keys(optionFields));
    expect(namesInTable('| option | environment', 1)).toEqual(Object.values(optionFields).map((field) => field.env));
  });

  it('lists every method of the host port', async () => {
    const knex = knexFactory({ client: 'better-sqlite3', useNullAsDefault: true, connection: ':memory:' });
    const port = Object.keys(
      billingTables({ knex, identify: () => ({ kind: 'nobody' }), confirmPassword: () => Promise.resolve(false) }),
    );
    await knex.destroy();
    const told = namesInTable('| `HostPort` | gives').map((name) => name.replace(/\(.*\)$/s, ''));
    expect(told.sort()).toEqual(port.sort());
  });

  it('lists every variable of the theme, and none that does not exist', () => {
    const tokens = read('views/styles/tokens.css');
    const firstBlock = tokens.slice(tokens.indexOf(':root {'), tokens.indexOf('}'));
    const known = [...firstBlock.matchAll(/--e3-([a-z-]+):/g)].map((match) => match[1] ?? '');
    const told = namesInTable('| variables | what').flatMap((name) =>
      ['good', 'warning', 'failed', 'running'].includes(name) ? [name, `${name}-fill`, `${name}-soft`] : [name],
    );
    expect(told.filter((name) => !name.startsWith('-')).sort()).toEqual(known.sort());
  });

  it('names no file of docs/ and no executable that is not there', () => {
    const { bin } = JSON.parse(read('package.json')) as { bin: Record<string, string> };
    const executables = [...document.matchAll(/\be3-cloudbackup-[a-z-]+\b/g)].map((match) => match[0]);
    expect(executables.filter((name) => !(name in bin))).toEqual([]);
  });
});
