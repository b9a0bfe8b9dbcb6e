import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createLog } from '../../src/log.ts';
import type { ServiceState } from '../../src/host/port.ts';
import { withdrawConnections } from '../../src/worker/withdraw-connections.ts';
import { insertJob } from '../database/rows.ts';
import { openConnectedWorld, type ConnectedWorld } from './connected.ts';

const CLIENT = 7;
let world: ConnectedWorld;
let google: string;
let dropbox: string;

beforeAll(async () => {
  world = await openConnectedWorld();
}, 60_000);
afterAll(async () => await world.close());
beforeEach(async () => {
  const { knex } = world.database;
  for (const table of ['sources', 'jobs', 'audit']) await knex(`s3_cloudbackup_${table}`).delete();
  for (const { oauth } of [world.fake.google, world.fake.dropbox]) {
    oauth.revoked.length = 0;
    oauth.refusal = null;
  }
  google = await world.connect('google_drive');
  dropbox = await world.connect('dropbox');
});

async function withdraw(state: ServiceState, graceDays: number | null = 30): Promise<number> {
  const records = {
    serviceState: async () => await Promise.resolve(state),
    terminatedGraceDays: async () => await Promise.resolve(graceDays),
    settings: async () => await Promise.resolve(new Map<string, string>()),
  } as unknown as Parameters<typeof withdrawConnections>[0]['records'];
  const { database, secrets } = world;
  return await withdrawConnections({ database, secrets, records, log: createLog({ level: 'error', silent: true }) });
}

const audit = async () =>
  await world.database
    .knex('s3_cloudbackup_audit')
    .orderBy('id')
    .select('action', 'actor_kind', 'target_id', 'params_json');

describe('connected accounts of a terminated service', () => {
  it('are given up at the service too, once no backup of the client stays', async () => {
    const token = await world.refreshTokenOf(google);
    const job = await insertJob(world.database, { client_id: CLIENT, data_state: 'ending' });
    expect(await withdraw('terminated')).toBe(0);
    await world.database.knex('s3_cloudbackup_jobs').where('id', job.id).update({ data_state: 'deleting' });
    expect(await withdraw('terminated')).toBe(2);
    expect(world.fake.google.oauth.revoked).toEqual([token]);
    expect(world.fake.dropbox.oauth.revoked).toHaveLength(1);
    for (const uuid of [google, dropbox])
      expect(await world.connection(uuid)).toMatchObject({ status: 'revoked', refreshTokenEnc: null });
    const entries = await audit();
    expect(entries.map(({ target_id: id }) => id)).toEqual([google, dropbox]);
    expect(entries[0]).toMatchObject({ action: 'source.disconnected', actor_kind: 'system' });
    expect(String(entries[0]?.params_json)).toContain('"withdrawn":true');
    expect(await withdraw('terminated')).toBe(0);
  }, 60_000);

  it.each(['active', 'suspended'] as const)('stay while it is %s', async (state) => {
    expect(await withdraw(state)).toBe(0);
    expect(await world.connection(google)).toMatchObject({ status: 'active' });
  });

  it('stay where the host keeps what a terminated client has', async () => {
    expect(await withdraw('terminated', null)).toBe(0);
    expect(await world.connection(google)).toMatchObject({ status: 'active' });
  });

  it('that the service refuses already are forgotten; a service that does not answer is asked again', async () => {
    world.fake.google.oauth.revokeAll();
    world.fake.dropbox.oauth.refusal = { status: 503, error: 'unavailable' };
    expect(await withdraw('terminated')).toBe(1);
    expect(await world.connection(google)).toMatchObject({ status: 'revoked' });
    expect(await world.connection(dropbox)).toMatchObject({ status: 'active' });
    world.fake.dropbox.oauth.refusal = null;
    expect(await withdraw('terminated')).toBe(1);
    expect(await world.connection(dropbox)).toMatchObject({ status: 'revoked', refreshTokenEnc: null });
  }, 60_000);
});
