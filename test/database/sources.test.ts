import { expect, it } from '@jest/globals';
import { v7 } from 'uuid';
import type { Database } from '../../src/database/connect.ts';
import { ClientOAuthStates } from '../../src/database/oauth-states.ts';
import {
  ClientSources,
  idleConnectionsQuery,
  markConnectionGood,
  markConnectionRefused,
  readConnection,
  replaceRefreshToken,
  type StoredConnection,
} from '../../src/database/sources.ts';
import { describeOnBoth } from './both.ts';
import { expectUsesIndex } from './explain.ts';

const ADA = 1;

async function connect(
  database: Database,
  clientId = ADA,
  accountEmail = 'ada@example.test',
): Promise<StoredConnection> {
  const uuid = v7();
  await database.transaction(async (trx) => {
    await new ClientSources(database, clientId).insert(trx, {
      uuid,
      provider: 'dropbox',
      displayName: 'Dropbox',
      accountEmail,
      scopes: ['a', 'b'],
      refreshTokenEnc: 'sealed 1',
    });
  });
  const found = await readConnection(database, { clientId, uuid });
  if (found === null) throw new Error('it was not stored');
  return found;
}

describeOnBoth('connections', (current) => {
  const read = async ({ clientId, uuid }: StoredConnection) =>
    await readConnection(current().database, { clientId, uuid });

  it('keep a token that was stored meanwhile, whoever comes late', async () => {
    const { database } = current();
    const connection = await connect(database);
    expect(await replaceRefreshToken(database, connection, { before: 'sealed 1', after: 'sealed 2' })).toBe(true);
    expect(await replaceRefreshToken(database, connection, { before: 'sealed 1', after: 'sealed 3' })).toBe(false);
    await markConnectionRefused(database, connection, { sealed: 'sealed 1', code: 'ERR_DROPBOX_REFRESH_PRECHECK' });
    expect(await read(connection)).toMatchObject({ refreshTokenEnc: 'sealed 2', status: 'active', errorCode: null });
    await markConnectionRefused(database, connection, { sealed: 'sealed 2', code: 'ERR_DROPBOX_REFRESH_PRECHECK' });
    expect(await read(connection)).toMatchObject({ status: 'error', errorCode: 'ERR_DROPBOX_REFRESH_PRECHECK' });
    await markConnectionGood(database, connection, 'sealed 2');
    expect(await read(connection)).toMatchObject({ status: 'active', errorCode: null });
  });

  it('that were given up get no token back from a worker', async () => {
    const { database } = current();
    const connection = await connect(database);
    await database.transaction(
      async (trx) => void (await new ClientSources(database, ADA).revoke(trx, connection.uuid)),
    );
    expect(await replaceRefreshToken(database, connection, { before: 'sealed 1', after: 'sealed 2' })).toBe(false);
    await markConnectionGood(database, connection, 'sealed 1');
    expect(await read(connection)).toMatchObject({ status: 'revoked', refreshTokenEnc: null });
  });

  it('are there for their own client only', async () => {
    const { database } = current();
    const { uuid } = await connect(database);
    const grace = new ClientSources(database, 2);
    expect(await readConnection(database, { clientId: 2, uuid })).toBeNull();
    await expect(grace.get(uuid)).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' });
    expect(await grace.list({ limit: 10 })).toEqual([]);
    expect(await database.transaction(async (trx) => await grace.revoke(trx, uuid))).toBe(false);
    expect(
      await database.transaction(async (trx) => await grace.findByAccount(trx, 'dropbox', 'ada@example.test')),
    ).toBeNull();
  });

  it('are listed by an index', async () => {
    const { database } = current();
    const time = '2026-01-01 00:00:00.000';
    const rows = Array.from({ length: 3_000 }, (_, i) => ({
      uuid: v7(),
      client_id: 100 + i,
      provider: 'dropbox',
      display_name: 'Dropbox',
      account_email: `${i}@example.test`,
      created_at: time,
      updated_at: time,
    }));
    await database.knex.batchInsert('s3_cloudbackup_sources', rows, 100);
    await connect(database);
    const sources = new ClientSources(database, ADA);
    await expectUsesIndex(current(), sources.listQuery({ provider: 'dropbox', limit: 10 }));
    await expectUsesIndex(current(), idleConnectionsQuery(database.knex, 1_000, 200));
    expect(await sources.list({ limit: 10 })).toMatchObject([{ accountEmail: 'ada@example.test', jobs: 0 }]);
  });
});

describeOnBoth('authorizations under way', (current) => {
  it('are taken once, in time, by whoever began them', async () => {
    const { database } = current();
    const begin = async (stateHash: string, expiresInMs: number): Promise<void> =>
      await database.transaction(
        async (trx) =>
          await new ClientOAuthStates(database, ADA).begin(trx, {
            uuid: v7(),
            provider: 'dropbox',
            sourceUuid: null,
            verifierEnc: 'sealed',
            stateHash,
            expiresInMs,
          }),
      );
    await begin('a'.repeat(64), 60_000);
    expect(await new ClientOAuthStates(database, 2).take('a'.repeat(64))).toBeNull();
    const both = await Promise.all(
      [1, 2].map(async () => await new ClientOAuthStates(database, ADA).take('a'.repeat(64))),
    );
    expect(both.filter((state) => state !== null)).toHaveLength(1);
    await begin('b'.repeat(64), -1);
    expect(await new ClientOAuthStates(database, ADA).take('b'.repeat(64))).toBeNull();
    await begin('c'.repeat(64), 60_000);
    expect(await database.knex('s3_cloudbackup_oauth_states').select('state_hash')).toHaveLength(1);
  });
});
