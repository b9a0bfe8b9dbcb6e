import type { Knex } from 'knex';
import { createHostTables } from '../../src/host/demo/tables.ts';
import { contractWorld, type ContractWorld } from '../../src/host/contract.ts';

/** Number of the storage product in the worlds that tests install. */
export const STORAGE_PRODUCT = 7;

/** Numbers that the rows of a world got, by the world's own names. */
export interface InstalledWorld {
  clientId(name: string): number;
  accountId(name: string): number;
  bucketId(name: string): number;
}

const MIB = 1024 ** 2;
const STATUS = { active: 'Active', suspended: 'Suspended', terminated: 'Terminated' } as const;

/** Creates the billing tables in a database and puts a world into them. */
export async function installBillingWorld(knex: Knex, world: ContractWorld = contractWorld): Promise<InstalledWorld> {
  await createHostTables(knex);
  const ids = {
    client: new Map<string, number>(),
    account: new Map<string, number>(),
    bucket: new Map<string, number>(),
  };
  const insert = async (table: string, row: Record<string, unknown>): Promise<number> => {
    const [id] = (await knex(table).insert(row)) as number[];
    return Number(id);
  };
  const settings = { ...world.settings, cloudbackup_product_ids: `3, ${STORAGE_PRODUCT}` };
  for (const [setting, value] of Object.entries(settings)) {
    await insert('tbladdonmodules', { module: 'cloudstorage', setting, value });
  }
  await insert('tbladdonmodules', { module: 'other', setting: 's3_endpoint', value: 'https://elsewhere.example.test' });
  for (const client of world.clients) {
    ids.client.set(
      client.name,
      await insert('tblclients', { email: client.email, firstname: client.firstName, lastname: client.lastName }),
    );
  }
  for (const account of world.accounts) {
    ids.account.set(
      account.name,
      await insert('s3_users', {
        name: account.name,
        username: account.name,
        ceph_uid: account.storeUid?.split('$').at(-1) ?? null,
        tenant_id: account.storeUid?.includes('$') ? account.storeUid.split('$')[0] : null,
        parent_id: account.parent === null ? null : ids.account.get(account.parent),
        is_active: account.active ? 1 : 0,
      }),
    );
    const client = world.clients.find((candidate) => candidate.name === account.client);
    if (client?.service) {
      await insert('tblhosting', {
        userid: ids.client.get(client.name),
        packageid: STORAGE_PRODUCT,
        username: account.name,
        domainstatus: STATUS[client.service],
        disklimit: (client.limitBytes ?? 0) / MIB,
        diskusage: (client.usedBytes ?? 0) / MIB,
        lastupdate: client.usedBytes === null ? null : '2026-01-02 03:04:05',
      });
    }
  }
  for (const bucket of world.buckets) {
    ids.bucket.set(
      bucket.name,
      await insert('s3_buckets', {
        user_id: ids.account.get(bucket.account),
        name: bucket.name,
        versioning: bucket.versioning ? 'enabled' : 'off',
        object_lock_enabled: bucket.objectLock ? '1' : '0',
        is_active: bucket.active ? 1 : 0,
      }),
    );
  }
  for (const pair of world.keyPairs) {
    await insert('s3_user_access_keys', {
      user_id: ids.account.get(pair.account),
      access_key: pair.accessKeyEnc,
      secret_key: pair.secretKeyEnc,
    });
  }
  const known = (numbers: ReadonlyMap<string, number>) => (name: string) => {
    const id = numbers.get(name);
    if (id === undefined) throw new Error(`the world has no "${name}"`);
    return id;
  };
  return { clientId: known(ids.client), accountId: known(ids.account), bucketId: known(ids.bucket) };
}
