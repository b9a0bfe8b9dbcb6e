import type { Knex } from 'knex';
import type { TestDatabase } from './both.ts';

/** Reading this many rows of a table is no scan that grows: it is what the query asked for. */
const FEW_ROWS = 1_500;

/**
 * Throws unless the database answers the query by an index. SQLite: no SCAN of a table (`allowed` names small ones). MariaDB: no
 * access of type ALL or index that reads more than `FEW_ROWS` rows, so fill some thousand rows first; statistics are
 * brought up to date here, once a table and row count.
 */
export async function expectUsesIndex(
  test: TestDatabase,
  query: Knex.QueryBuilder | Knex.Raw | { sql: string; bindings?: readonly unknown[] },
  options: { allowed?: readonly string[] } = {},
): Promise<void> {
  const { sql, bindings } = native(query);
  const problems =
    test.dialect === 'sqlite'
      ? await sqliteScans(test, sql, bindings, options.allowed ?? [])
      : await mysqlScans(test, sql, bindings, options.allowed ?? []);
  if (problems.length > 0) throw new Error(`The query scans.\n${problems.join('\n')}\n${sql}`);
}

function native(query: Knex.QueryBuilder | Knex.Raw | { sql: string; bindings?: readonly unknown[] }): {
  sql: string;
  bindings: readonly unknown[];
} {
  if ('toSQL' in query) {
    const compiled = (query as Knex.Raw).toSQL().toNative();
    return { sql: compiled.sql, bindings: compiled.bindings };
  }
  return { sql: query.sql, bindings: query.bindings ?? [] };
}

async function sqliteScans(
  test: TestDatabase,
  sql: string,
  bindings: readonly unknown[],
  allowed: readonly string[],
): Promise<string[]> {
  const rows = (await test.database.knex.raw(`EXPLAIN QUERY PLAN ${sql}`, bindings as Knex.RawBinding[])) as {
    detail: string;
  }[];
  return rows
    .map((row) => row.detail)
    .filter((detail) => {
      const table = /^SCAN (\S+)/.exec(detail)?.[1];
      // A subquery or a list of values is scanned as a matter of course; its own tables have lines of their own.
      return table !== undefined && !/^(?:\(|json_each|CONSTANT|\d)/.test(table) && !allowed.includes(table);
    });
}

interface ExplainRow {
  table: string | null;
  type: string | null;
  key: string | null;
  rows: number | string | null;
  Extra: string | null;
}

const analysed = new WeakMap<TestDatabase, Map<string, number>>();

async function mysqlScans(
  test: TestDatabase,
  sql: string,
  bindings: readonly unknown[],
  allowed: readonly string[],
): Promise<string[]> {
  await analyse(test, sql);
  const [rows] = (await test.database.knex.raw(`EXPLAIN ${sql}`, bindings as Knex.RawBinding[])) as [ExplainRow[]];
  return rows
    .filter(
      (row) =>
        row.table !== null &&
        !row.table.startsWith('<') &&
        !allowed.includes(row.table) &&
        (row.type === 'ALL' || row.type === 'index') &&
        // A walk along an index that stops at the LIMIT shows the number of rows it will read.
        Number(row.rows ?? 0) > FEW_ROWS,
    )
    .map((row) => `${row.table}: type ${row.type}, key ${row.key ?? 'none'}, ${row.rows} rows. ${row.Extra ?? ''}`);
}

/** MariaDB plans by its statistics, which follow a quick fill only after a while. */
async function analyse(test: TestDatabase, sql: string): Promise<void> {
  const known = analysed.get(test) ?? new Map<string, number>();
  analysed.set(test, known);
  for (const [, table] of sql.matchAll(/\b(s3_\w+)\b/g)) {
    if (table === undefined) continue;
    const [{ rows = 0 } = {}] = (await test.database.knex(table).count({ rows: '*' })) as { rows?: number }[];
    if (known.get(table) === Number(rows)) continue;
    await test.database.knex.raw(`ANALYZE TABLE ${table}`);
    known.set(table, Number(rows));
  }
}
