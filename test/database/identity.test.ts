import { describe, expect, it } from '@jest/globals';
import type { Database } from '../../src/database/connect.ts';
import { databaseIdentity } from '../../src/database/identity.ts';

/** A server that answers as Galera does; a real cluster takes three of them. */
function node(clusterUuid: string): Database {
  const raw = (sql: string): Promise<unknown> => {
    const status = sql.startsWith('SHOW GLOBAL STATUS') ? [{ Value: clusterUuid }] : [{ Value: 'server-1' }];
    return Promise.resolve([sql.startsWith('SELECT DATABASE') ? [{ name: 'billing' }] : status]);
  };
  return { dialect: 'mysql', knex: { raw } } as unknown as Database;
}

describe('the identity of a database', () => {
  it('is that of its cluster where it belongs to one, else its server’s, and the schema’s name with it', async () => {
    const cluster = '6f1d8c9a-8a1e-11ef-9d0c-3b1f0e6a2b11';
    expect(await databaseIdentity(node(cluster))).toBe(`galera:${cluster}/billing`);
    expect(await databaseIdentity(node(''))).toBe('server:server-1/billing');
  });

  it('is not told by a node that has not joined its cluster: all of them look alike', async () => {
    const joining = databaseIdentity(node('00000000-0000-0000-0000-000000000000'));
    await expect(joining).rejects.toMatchObject({ code: 'ERR_DATABASE_UNREACHABLE' });
  });
});
