import { beforeEach, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { v7 } from 'uuid';
import { verifyAudit } from '../../src/database/audit.ts';
import type { Database, DatabaseSettings } from '../../src/database/connect.ts';
import { secretStore } from '../../src/database/secrets.ts';
import { packageRoot } from '../../src/engines/tools.ts';
import { createHostTables } from '../../src/host/demo/tables.ts';
import { Secrets } from '../../src/security/envelope.ts';
import { secretColumns, secretLabels, type SecretLabel } from '../../src/security/labels.ts';
import { sealLegacy } from '../../src/security/legacy.ts';
import { rotateKeys } from '../../src/security/rotation.ts';
import { describeOnBoth } from './both.ts';

const FORMER = 'the former secret';
const CURRENT = 'the current secret';
const before = new Secrets([FORMER]);
const after = new Secrets([CURRENT, FORMER]);
const onlyCurrent = new Secrets([CURRENT]);
const KEYS = 'backup-key.value' satisfies SecretLabel;

let nextNumber = 1;

/** A row of the label's table with the value sealed, and everything else that the table insists on. */
async function insertRow(database: Database, label: SecretLabel, seal: (uuid: string) => string): Promise<string> {
  const { table, column } = secretColumns[label];
  const uuid = v7();
  const info = (await database.knex(table).columnInfo()) as unknown as Record<
    string,
    { nullable: boolean; defaultValue: unknown; type: string }
  >;
  const row: Record<string, unknown> = {};
  for (const [name, { nullable, defaultValue, type }] of Object.entries(info)) {
    const filled =
      nullable || (defaultValue !== null && defaultValue !== undefined && !/_version$/.test(name)) || name === 'id';
    if (!filled) row[name] = /int/i.test(type) ? nextNumber++ : randomBytes(8).toString('hex');
  }
  const disable = database.dialect === 'sqlite' ? 'PRAGMA foreign_keys = OFF' : 'SET FOREIGN_KEY_CHECKS = 0';
  const enable = database.dialect === 'sqlite' ? 'PRAGMA foreign_keys = ON' : 'SET FOREIGN_KEY_CHECKS = 1';
  const connection: unknown = await database.knex.client.acquireConnection();
  try {
    await database.knex.raw(disable).connection(connection);
    await database
      .knex(table)
      .insert({ ...row, uuid, [column]: seal(uuid) })
      .connection(connection as never);
    await database.knex.raw(enable).connection(connection);
  } finally {
    await database.knex.client.releaseConnection(connection);
  }
  return uuid;
}

async function insertKeys(database: Database, count: number, seal: (uuid: string) => string): Promise<string[]> {
  const rows = Array.from({ length: count }, (_, index) => {
    const uuid = v7();
    return {
      uuid,
      client_id: 1,
      owner_uuid: v7(),
      purpose: 'crypt',
      key_version: index + 1,
      value_enc: seal(uuid),
      created_at: '2026-01-01 00:00:00.000',
    };
  });
  await database.knex.batchInsert(secretColumns[KEYS].table, rows, 400);
  return rows.map((row) => row.uuid);
}

async function values(database: Database, label: SecretLabel): Promise<{ uuid: string; value: string }[]> {
  const { table, column } = secretColumns[label];
  return await database.knex(table).whereNotNull(column).orderBy('id').select({ uuid: 'uuid', value: column });
}

/** The executable, as an operator runs it. */
function rotateKeysProcess(
  settings: DatabaseSettings,
  flags: readonly string[] = [],
): ChildProcess & { text(): string } {
  const env: Record<string, string> = {
    PATH: process.env['PATH'] ?? '',
    CLOUD_BACKUP_ENCRYPTION_KEY: CURRENT,
    CLOUD_BACKUP_ENCRYPTION_KEY_PREVIOUS: FORMER,
    CLOUD_BACKUP_DATABASE_DRIVER: settings.driver,
    ...(settings.driver === 'sqlite'
      ? { CLOUD_BACKUP_DATABASE_FILENAME: settings.filename }
      : {
          CLOUD_BACKUP_DATABASE_PORT: String(settings.port),
          CLOUD_BACKUP_DATABASE_DATABASE: settings.database,
          CLOUD_BACKUP_DATABASE_USERNAME: settings.username,
          CLOUD_BACKUP_DATABASE_PASSWORD: settings.password,
        }),
  };
  const child = spawn(process.execPath, [join(packageRoot(), 'bin', 'rotate-keys.js'), ...flags], { env });
  let text = '';
  child.stdout.on('data', (part: Buffer) => (text += String(part)));
  child.stderr.on('data', (part: Buffer) => (text += String(part)));
  return Object.assign(child, { text: () => text });
}

async function ended(child: ChildProcess): Promise<number | string | null> {
  return await new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal)));
}

describeOnBoth('changing the encryption key', (current) => {
  let database: Database;
  let settings: DatabaseSettings;
  beforeEach(async () => {
    ({ database, settings } = current());
    if (!(await database.knex.schema.hasTable('tbladdonmodules'))) await createHostTables(database.knex);
  });

  it('re-encrypts every column of the registry, from former keys and from the older format', async () => {
    const iv = randomBytes(16);
    const texts = new Map<string, { label: SecretLabel; text: string }>();
    for (const label of secretLabels) {
      const { legacy } = secretColumns[label];
      const text = JSON.stringify({ secret: label });
      texts.set(await insertRow(database, label, (uuid) => before.seal(label, uuid, text)), { label, text });
      texts.set(await insertRow(database, label, (uuid) => after.seal(label, uuid, text)), { label, text });
      if (legacy === null) continue;
      texts.set(await insertRow(database, label, () => sealLegacy(text, FORMER, iv)), { label, text });
    }
    const report = await rotateKeys({ secrets: after, store: secretStore(database) });
    expect(report).toMatchObject({ unreadable: [], remaining: 0, stopped: false });
    for (const { label, total, found, rewritten } of report.columns) {
      const older = secretColumns[label].legacy === null ? 0 : 1;
      expect({ label, total, rewritten }).toEqual({ label, total: 2 + older, rewritten: 1 + older });
      expect(found.get('legacy') ?? 0).toBe(older);
    }
    for (const label of secretLabels) {
      for (const { uuid, value } of await values(database, label)) {
        expect({ label, text: onlyCurrent.open(label, uuid, value) }).toEqual(texts.get(uuid));
      }
    }
  });

  it('only counts with checkOnly, and finds nothing to do the second time', async () => {
    await insertKeys(database, 3, (uuid) => before.seal(KEYS, uuid, 'text'));
    const unchanged = await values(database, KEYS);
    const store = secretStore(database);
    const counted = await rotateKeys({ secrets: after, store, checkOnly: true });
    expect(counted.remaining).toBe(3);
    expect(await values(database, KEYS)).toEqual(unchanged);
    await rotateKeys({ secrets: after, store });
    const again = await rotateKeys({ secrets: after, store });
    expect(again.remaining + again.columns.reduce((sum, column) => sum + column.rewritten, 0)).toBe(0);
  });

  it('reports what it cannot read and leaves it as it is', async () => {
    const [good = '', damaged = '', moved = '', foreign = ''] = await insertKeys(database, 4, (uuid) =>
      before.seal(KEYS, uuid, 'text'),
    );
    const set = async (uuid: string, value: string): Promise<unknown> =>
      await database.knex(secretColumns[KEYS].table).where('uuid', uuid).update({ value_enc: value });
    await set(damaged, 'v2:not a value');
    await set(moved, before.seal(KEYS, good, 'text'));
    await set(foreign, new Secrets(['a lost secret']).seal(KEYS, foreign, 'text'));
    const unchanged = (await values(database, KEYS)).slice(1);
    const report = await rotateKeys({ secrets: after, store: secretStore(database) });
    expect(report.unreadable).toEqual([
      { label: KEYS, uuid: damaged, reason: 'damaged' },
      { label: KEYS, uuid: moved, reason: 'damaged' },
      { label: KEYS, uuid: foreign, reason: 'key not configured' },
    ]);
    expect((await values(database, KEYS)).slice(1)).toEqual(unchanged);
    expect(onlyCurrent.open(KEYS, good, (await values(database, KEYS))[0]?.value ?? '')).toBe('text');
  });

  it('never undoes what somebody else wrote between its reading and its writing', async () => {
    const [uuid = ''] = await insertKeys(database, 1, (id) => before.seal(KEYS, id, 'first'));
    const store = secretStore(database);
    let writes = 0;
    const report = await rotateKeys({
      secrets: after,
      store: {
        ...store,
        replace: async (label, row, value) => {
          // A portal that still has the former key changes the value, twice.
          if (++writes <= 2) {
            const newer = before.seal(KEYS, uuid, `written meanwhile ${writes}`);
            await database.knex(secretColumns[KEYS].table).where('uuid', uuid).update({ value_enc: newer });
          }
          return await store.replace(label, row, value);
        },
      },
    });
    expect(report.remaining).toBe(0);
    expect(onlyCurrent.open(KEYS, uuid, (await values(database, KEYS))[0]?.value ?? '')).toBe('written meanwhile 2');
  });

  it('can be killed at any moment and run again, while others write', async () => {
    const uuids = await insertKeys(database, 1_000, (uuid) => before.seal(KEYS, uuid, `first ${uuid}`));
    const expected = new Map(uuids.map((uuid) => [uuid, `first ${uuid}`]));
    const rewritten = async (): Promise<number> =>
      Number(
        (
          await database
            .knex(secretColumns[KEYS].table)
            .where('value_enc', 'like', `v2:${after.current.keyId}:%`)
            .count({ n: '*' })
            .first<{ n: number }>()
        ).n,
      );

    const killed = rotateKeysProcess(settings);
    const death = ended(killed);
    let writes = 0;
    while ((await rewritten()) < 50) {
      // A portal that still has the former key goes on writing, also to rows that are done.
      const uuid = uuids[(writes * 37) % uuids.length] ?? '';
      const text = `written ${writes++}`;
      await database
        .knex(secretColumns[KEYS].table)
        .where('uuid', uuid)
        .update({ value_enc: before.seal(KEYS, uuid, text) });
      expected.set(uuid, text);
      await turn();
    }
    killed.kill('SIGKILL');
    expect(await death).toBe('SIGKILL');
    const done = await rewritten();
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(1_000);

    const check = rotateKeysProcess(settings, ['--check']);
    expect(await ended(check)).toBe(3);
    expect(check.text()).toContain(`${1_000 - done} under key ${before.current.keyId}`);
    expect(await rewritten()).toBe(done);

    const again = rotateKeysProcess(settings);
    expect([await ended(again), again.text()]).toEqual([
      0,
      expect.stringContaining('Everything is under the current key'),
    ]);
    for (const { uuid, value } of await values(database, KEYS)) {
      expect(onlyCurrent.open(KEYS, uuid, value)).toBe(expected.get(uuid));
    }
    expect(await verifyAudit(database)).toMatchObject({ brokenAt: null });
    expect(await database.knex('s3_cloudbackup_audit').pluck('action')).toEqual(['keys.rotated']);
    expect(again.text()).not.toMatch(new RegExp(`${CURRENT}|${FORMER}`));
  }, 120_000);
});
