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
  const mysql = String(knex.client.config.client).includes('mysql');
  const specific = (
    table: Knex.CreateTableBuilder,
    column: string,
    mysqlType: string,
    other: string,
  ): Knex.ColumnBuilder => table.specificType(column, mysql ? mysqlType : other);
  await knex.schema.createTable(name, (table) => {
    if (mysql) {
      table.engine('InnoDB');
      table.charset('utf8mb4');
      table.collate('utf8mb4_bin');
    }
    define({
      table,
      id: () => void table.bigIncrements('id'),
      uuid: (column = 'uuid') => specific(table, column, 'CHAR(36) CHARACTER SET ascii COLLATE ascii_bin', 'TEXT'),
      word: (column, length = 64) =>
        specific(table, column, `VARCHAR(${length}) CHARACTER SET ascii COLLATE ascii_bin`, 'TEXT'),
      text: (column, length = 191) =>
        specific(table, column, `VARCHAR(${length}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`, 'TEXT'),
      long: (column) => specific(table, column, 'LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin', 'TEXT'),
      time: (column) => specific(table, column, 'CHAR(23) CHARACTER SET ascii COLLATE ascii_bin', 'TEXT'),
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
    });
  });
}
