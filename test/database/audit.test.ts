import { expect, it } from '@jest/globals';
import {
  appendAudit,
  countLately,
  countLatelyQuery,
  listAudit,
  recordAudit,
  verifyAudit,
  type NewAuditEntry,
} from '../../src/database/audit.ts';
import { openDatabase, type Database } from '../../src/database/connect.ts';
import { CHAIN_START } from '../../src/security/audit.ts';
import { describeOnBoth } from './both.ts';
import { expectUsesIndex } from './explain.ts';

const entry = (action: string, clientId: number | null = 1): NewAuditEntry => ({
  actorKind: 'client',
  actorId: '1',
  clientId,
  action,
  targetKind: 'job',
  targetId: 'job-1',
  params: { name: 'Größe "x"', n: 1 },
});

async function entries(database: Database): Promise<{ id: number; hash: string }[]> {
  return await database.knex<{ id: number; hash: string }>('s3_cloudbackup_audit').select('id', 'hash').orderBy('id');
}

describeOnBoth('the audit log', (current) => {
  it('chains each entry to the one before it', async () => {
    const { database } = current();
    expect(await verifyAudit(database)).toEqual({ entries: 0, brokenAt: null, head: CHAIN_START });
    const first = await recordAudit(database, entry('job.created'));
    const second = await recordAudit(database, entry('job.deleted', null));
    expect(first.prevHash).toBe(CHAIN_START);
    expect(second.prevHash).toBe(first.hash);
    expect(await verifyAudit(database)).toEqual({ entries: 2, brokenAt: null, head: second.hash });
  });

  it('does not fork when many write at once, through several pools', async () => {
    const { database, dialect, settings } = current();
    // SQLite waits for a lock inside of its call: two connections of one process would wait for each other.
    const further = dialect === 'sqlite' ? [] : [openDatabase(settings), openDatabase(settings)];
    const pools = [database, ...further];
    await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const pool = pools[index % pools.length] ?? database;
        await pool.transaction(async (trx) => {
          // A snapshot that is older than what others append meanwhile.
          await trx('s3_cloudbackup_audit').select('id').limit(1);
          await appendAudit(pool, trx, entry(`n${index}`));
        });
      }),
    );
    expect(await verifyAudit(database)).toMatchObject({ entries: 60, brokenAt: null });
    for (const pool of further) await pool.close();
  });

  it('says nothing of what was rolled back', async () => {
    const { database } = current();
    await recordAudit(database, entry('kept'));
    const failing = database.transaction(async (trx) => {
      await appendAudit(database, trx, entry('lost'));
      throw new Error('rolled back');
    });
    await expect(failing).rejects.toThrow('rolled back');
    await recordAudit(database, entry('also kept'));
    expect(await verifyAudit(database)).toMatchObject({ entries: 2, brokenAt: null });
  });

  it('shows an entry that was changed, removed or slipped in', async () => {
    const { database } = current();
    const log = database.knex('s3_cloudbackup_audit');
    for (const action of ['a', 'b', 'c', 'd']) await recordAudit(database, entry(action));
    const [, second, third, fourth] = await entries(database);

    await log.clone().where('id', second?.id).update({ client_id: 2 });
    expect((await verifyAudit(database)).brokenAt).toBe(second?.id);
    await log.clone().where('id', second?.id).update({ client_id: 1 });
    expect((await verifyAudit(database)).brokenAt).toBeNull();

    await log.clone().where('id', third?.id).delete();
    expect((await verifyAudit(database)).brokenAt).toBe(fourth?.id);
  });

  it('is read newest first in pages, and by client', async () => {
    const { database } = current();
    for (let index = 0; index < 7; index += 1) await recordAudit(database, entry(`n${index}`, index % 2));
    const first = await listAudit(database, { limit: 3 });
    expect(first.entries.map((item) => item.action)).toEqual(['n6', 'n5', 'n4']);
    const second = await listAudit(database, { limit: 3, beforeId: first.next ?? 0 });
    expect(second.entries.map((item) => item.action)).toEqual(['n3', 'n2', 'n1']);
    const last = await listAudit(database, { limit: 3, beforeId: second.next ?? 0 });
    expect(last).toMatchObject({ next: null, entries: [{ action: 'n0' }] });
    const own = await listAudit(database, { clientId: 1 });
    expect(own.entries.map((item) => item.action)).toEqual(['n5', 'n3', 'n1']);
  });

  it('tells how often a client did something lately, without reading what is old', async () => {
    const { database } = current();
    for (const [action, clientId] of [
      ['refused', 1],
      ['refused', 1],
      ['refused', 2],
      ['other', 1],
    ] as const)
      await recordAudit(database, entry(action, clientId));
    const query = { clientId: 1, action: 'refused', withinMs: 60_000 };
    expect(await countLately(database, query)).toBe(2);
    const log = database.knex('s3_cloudbackup_audit').where('id', (await entries(database))[0]?.id);
    await log.update({ ts: database.now(-61_000) });
    expect(await countLately(database, query)).toBe(1);
    await expectUsesIndex(current(), countLatelyQuery(database, query));
  });
});
