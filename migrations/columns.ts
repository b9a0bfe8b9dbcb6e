import type { Knex } from 'knex';

/**
 * The column types of our tables, once, for both databases. Text that identifies something (uuids, states, prefixes) compares by
 * bytes; times are CHAR(23) text in UTC; big numbers are BIGINT; JSON is LONGTEXT because MySQL, MariaDB and SQLite
 * disagree on what a JSON column returns.
 */
export interface Columns {
  readonly table: Knex.CreateTableBuilder;
  id(): void;
  /** CHAR(36) ascii. */
  uuid(name?: string): Knex.ColumnBuilder;
  /** Short machine word (state, type, code, token). */
  word(name: string, length?: number): Knex.ColumnBuilder;
  /** Text for people or paths, `utf8mb4_bin`. */
  text(name: string, length?: number): Knex.ColumnBuilder;
  long(name: string): Knex.ColumnBuilder;
  time(name: string): Knex.ColumnBuilder;
  big(name: string): Knex.ColumnBuilder;
  int(name: string): Knex.ColumnBuilder;
  flag(name: string, initially?: 0 | 1): Knex.ColumnBuilder;
  /** Number of a row in one of our own tables, with a foreign key. */
  ref(name: string, table: string, onDelete?: 'CASCADE' | 'RESTRICT' | 'SET NULL'): Knex.ColumnBuilder;
}

export async function createTable(knex: Knex, name: string, define: (columns: Columns) => void): Promise<void> {
  await knex.schema.createTable(name, (table) => {
    if (isMysql(knex)) {
      table.engine('InnoDB');
      table.charset('utf8mb4');
      table.collate('utf8mb4_bin');
    }
    define(columnsOf(knex, table));
  });
}

/** A column that a step adds to a table of an earlier one. */
export interface AddedColumn {
  readonly name: string;
  define(columns: Columns): void;
}

/**
 * Adds what is missing of these columns and indexes. DDL is not transactional on MariaDB, so a step that was cut off is simply taken
 * again.
 */
export async function extendTable(
  knex: Knex,
  name: string,
  columns: readonly AddedColumn[],
  indexes: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  for (const { name: column, define } of columns) {
    if (await knex.schema.hasColumn(name, column)) continue;
    await knex.schema.alterTable(name, (table) => define(columnsOf(knex, table)));
  }
  for (const [index, over] of Object.entries(indexes)) {
    if (await hasIndex(knex, name, index)) continue;
    await knex.schema.alterTable(name, (table) => void table.index([...over], index));
  }
}

/** Takes away what `extendTable` added. */
export async function narrowTable(
  knex: Knex,
  name: string,
  columns: readonly AddedColumn[],
  indexes: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  for (const [index, over] of Object.entries(indexes)) {
    if (await hasIndex(knex, name, index))
      await knex.schema.alterTable(name, (table) => table.dropIndex([...over], index));
  }
  for (const { name: column } of columns) {
    // knex would build the whole table anew on SQLite, which can do this by itself.
    if (await knex.schema.hasColumn(name, column)) await knex.raw('ALTER TABLE ?? DROP COLUMN ??', [name, column]);
  }
}

async function hasIndex(knex: Knex, table: string, index: string): Promise<boolean> {
  const rows = isMysql(knex)
    ? knex('information_schema.statistics')
        .whereRaw('table_schema = DATABASE()')
        .where({ table_name: table, index_name: index })
    : knex('sqlite_master').where({ type: 'index', tbl_name: table, name: index });
  return (await rows.select(knex.raw('1')).limit(1)).length > 0;
}

function isMysql(knex: Knex): boolean {
  return String(knex.client.config.client).includes('mysql');
}

function columnsOf(knex: Knex, table: Knex.CreateTableBuilder): Columns {
  const mysql = isMysql(knex);
  const specific = (column: string, mysqlType: string, other: string): Knex.ColumnBuilder =>
    table.specificType(column, mysql ? mysqlType : other);
  return {
    table,
    id: () => void table.bigIncrements('id'),
    uuid: (column = 'uuid') => specific(column, 'CHAR(36) CHARACTER SET ascii COLLATE ascii_bin', 'TEXT'),
    word: (column, length = 64) => specific(column, `VARCHAR(${length}) CHARACTER SET ascii COLLATE ascii_bin`, 'TEXT'),
    text: (column, length = 191) =>
      specific(column, `VARCHAR(${length}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`, 'TEXT'),
    long: (column) => specific(column, 'LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin', 'TEXT'),
    time: (column) => specific(column, 'CHAR(23) CHARACTER SET ascii COLLATE ascii_bin', 'TEXT'),
    big: (column) => table.bigInteger(column),
    int: (column) => table.integer(column),
    flag: (column, initially = 0) =>
      table
        .specificType(column, mysql ? 'TINYINT' : 'INTEGER')
        .notNullable()
        .defaultTo(initially),
    ref: (column, other, onDelete = 'RESTRICT') => {
      const builder = table.bigInteger(column).unsigned();
      table.foreign(column).references('id').inTable(other).onDelete(onDelete);
      return builder;
    },
  };
}
