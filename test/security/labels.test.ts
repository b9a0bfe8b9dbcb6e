import { expect, it } from '@jest/globals';
import { openDatabase } from '../../src/database/connect.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { secretColumns } from '../../src/security/labels.ts';
import { tables } from '../../migrations/index.ts';

it('every encrypted column of our tables has exactly one label', async () => {
  const database = openDatabase({ driver: 'sqlite', filename: ':memory:' });
  await migrateUp(database);
  const found: string[] = [];
  for (const table of tables) {
    const columns = Object.keys(await database.knex(table).columnInfo());
    found.push(...columns.filter((name) => /_enc$|^wrapped_/.test(name)).map((name) => `${table}.${name}`));
  }
  const labelled = Object.values(secretColumns).map(({ table, column }) => `${table}.${column}`);
  expect(labelled.toSorted()).toEqual(found.toSorted());
  for (const { table, uuidColumn } of Object.values(secretColumns)) {
    expect(Object.keys(await database.knex(table).columnInfo())).toContain(uuidColumn);
  }
  await database.close();
});
