import type { SecretRow, SecretStore } from '../security/rotation.ts';
import { secretColumns, type SecretLabel } from '../security/labels.ts';
import type { Database } from './connect.ts';

const PAGE = 500;

interface StoredSecret {
  id: number;
  uuid: string;
  value: string;
}

/** The encrypted columns of our tables, as the change of keys walks and rewrites them. Tables of the host are out of its reach. */
export function secretStore(database: Database): SecretStore {
  return {
    async *rows(label: SecretLabel): AsyncGenerator<SecretRow> {
      const { table, column, uuidColumn } = secretColumns[label];
      for (let afterId = 0; ;) {
        const page: StoredSecret[] = await database
          .knex(table)
          .where('id', '>', afterId)
          .whereNotNull(column)
          .orderBy('id')
          .limit(PAGE)
          .select({ id: 'id', uuid: uuidColumn, value: column });
        yield* page;
        const last = page.at(-1);
        if (last === undefined || page.length < PAGE) return;
        afterId = Number(last.id);
      }
    },

    async read(label: SecretLabel, id: number): Promise<SecretRow | null> {
      const { table, column, uuidColumn } = secretColumns[label];
      const row: StoredSecret | undefined = await database
        .knex(table)
        .where('id', id)
        .whereNotNull(column)
        .first({ id: 'id', uuid: uuidColumn, value: column });
      return row ?? null;
    },

    async replace(label: SecretLabel, row: SecretRow, value: string): Promise<boolean> {
      const { table, column } = secretColumns[label];
      return await database.transaction(async (trx) => {
        const changed = await trx(table)
          .where({ id: row.id, [column]: row.value })
          .update({ [column]: value });
        return changed > 0;
      });
    },
  };
}
