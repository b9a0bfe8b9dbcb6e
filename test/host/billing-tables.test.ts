import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Request } from 'express';
import knexFactory, { type Knex } from 'knex';
import type { DatabaseSettings } from '../../src/database/connect.ts';
import { graceOf } from '../../src/host/billing-rows.ts';
import { billingRecords, billingTables, mailTemplate } from '../../src/host/billing-tables.ts';
import { hostContract } from '../../src/host/contract.ts';
import type { Identity } from '../../src/host/port.ts';
import { openTestDatabase } from '../database/both.ts';
import { installBillingWorld, STORAGE_PRODUCT, type InstalledWorld } from './billing-world.ts';

const framework = { describe, it, beforeAll, afterAll, expect };

/** Requests of these tests carry who sent them in a header; a real host looks at its session. */
function requestOf(identity: Identity): Request {
  return { headers: { 'x-test-identity': JSON.stringify(identity) } } as unknown as Request;
}

function identify(request: Request): Identity {
  return JSON.parse(String(request.headers['x-test-identity'])) as Identity;
}

for (const dialect of ['sqlite', 'mysql'] as const) {
  describe(`billing tables on ${dialect}`, () => {
    hostContract(framework, async () => {
      const { test, release } = await openTestDatabase(dialect, { migrate: false });
      const world = await installBillingWorld(test.database.knex);
      return {
        ...world,
        host: billingTables({
          knex: test.database.knex,
          identify,
          navigation: () => [{ label: 'Overview', href: '/' }],
        }),
        missingId: 900_000,
        requests: {
          client: (name) =>
            requestOf({ kind: 'client', clientId: world.clientId(name), session: `session of ${name}, 0123456789` }),
          admin: () =>
            requestOf({ kind: 'admin', adminId: 1, name: 'Root', session: 'session of the admin, 0123456789' }),
          stranger: () => requestOf({ kind: 'nobody' }),
        },
        close: release,
      };
    });
  });

  describe(`billing tables on ${dialect}, through a knex instance with the host's own habits`, () => {
    hostContract(
      framework,
      async () => {
        const { test, release } = await openTestDatabase(dialect, { migrate: false });
        const world = await installBillingWorld(test.database.knex);
        const knex = openWithOddHabits(test.settings);
        return {
          ...world,
          host: billingRecords({ knex }),
          missingId: 900_000,
          close: async () => {
            await knex.destroy();
            await release();
          },
        };
      },
      { web: false },
    );
  });
}

/** Column names in camel case, dates and big numbers as text, TINYINT(1) as boolean, another session time zone. */
function openWithOddHabits(settings: DatabaseSettings): Knex {
  const habits: Knex.Config = {
    wrapIdentifier: (value, original) => original(value.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)),
    postProcessResponse: (result: unknown) => (Array.isArray(result) ? result.map(camelCased) : camelCased(result)),
  };
  if (settings.driver === 'sqlite') {
    return knexFactory({
      ...habits,
      client: 'better-sqlite3',
      connection: { filename: settings.filename },
      useNullAsDefault: true,
      pool: {
        min: 1,
        max: 1,
        afterCreate: (
          connection: { defaultSafeIntegers(on: boolean): void },
          done: (error: Error | null, connection: unknown) => void,
        ) => {
          connection.defaultSafeIntegers(true);
          done(null, connection);
        },
      },
    });
  }
  return knexFactory({
    ...habits,
    client: 'mysql2',
    connection: {
      host: settings.host ?? '127.0.0.1',
      port: settings.port ?? 3306,
      user: settings.username,
      password: settings.password,
      database: settings.database,
      dateStrings: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
      timezone: '+05:30',
      typeCast: (field: { type: string; length: number; string(): string | null }, next: () => unknown) => {
        if (field.type === 'TINY') return field.string() === '1';
        return field.type === 'LONG' ? field.string() : next();
      },
    },
  });
}

function camelCased(row: unknown): unknown {
  if (typeof row !== 'object' || row === null || Array.isArray(row)) return row;
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      value as unknown,
    ]),
  );
}

describe('accounts of a client', () => {
  let knex: Knex;
  let world: InstalledWorld;
  let close: () => Promise<void>;
  beforeAll(async () => {
    const opened = await openTestDatabase('mysql', { migrate: false });
    ({ knex } = opened.test.database);
    close = opened.release;
    world = await installBillingWorld(knex);
  });
  afterAll(async () => await close());

  const names = async (client: string): Promise<string[]> =>
    (await billingRecords({ knex }).storageAccounts(world.clientId(client))).map((account) => account.username);

  it('are not reached through another product whose user name is the same', async () => {
    await knex('tblhosting').insert({
      userid: world.clientId('newcomer'),
      packageid: STORAGE_PRODUCT + 1,
      username: 'ada-main',
      domainstatus: 'Active',
    });
    expect(await names('newcomer')).toEqual([]);
    expect(await billingRecords({ knex }).serviceState(world.clientId('newcomer'))).toBe('suspended');
  });

  it('are not reached through a user name that only the collation of the database takes for the same', async () => {
    await knex('tblhosting').insert({
      userid: world.clientId('newcomer'),
      packageid: STORAGE_PRODUCT,
      username: 'ADA-Main',
      domainstatus: 'Active',
    });
    expect(await names('newcomer')).toEqual([]);
  });

  it('follow the list of products in the options before the one in the settings', async () => {
    const records = billingRecords({ knex, productIds: [STORAGE_PRODUCT + 1] });
    expect((await records.storageAccounts(world.clientId('newcomer'))).map((account) => account.username)).toContain(
      'ada-main',
    );
  });

  it('are refused with a sentence while nobody said which products are storage', async () => {
    await knex('tbladdonmodules').where('setting', 'cloudbackup_product_ids').update({ value: ' ' });
    await expect(names('ada')).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' });
  });
});

describe('mail templates', () => {
  let knex: Knex;
  let close: () => Promise<void>;
  beforeAll(async () => {
    const opened = await openTestDatabase('sqlite', { migrate: false });
    ({ knex } = opened.test.database);
    close = opened.release;
    await installBillingWorld(knex);
    const templates = [
      { id: 1, type: 'general', name: 'Backup', subject: 'Deutsch', message: '<p>x</p>', language: 'german' },
      { id: 2, type: 'general', name: 'Backup', subject: 'Default', message: '<p>x</p>' },
      { id: 3, type: 'general', name: 'Off', subject: 'Off', message: 'x', disabled: true },
      {
        id: 4,
        type: 'general',
        name: 'Plain',
        subject: 'P',
        message: 'x',
        plaintext: true,
        fromname: 'N',
        fromemail: 'n@e.test',
      },
      { id: 5, type: 'invoice', name: 'Invoice', subject: 'Invoice', message: 'x' },
    ];
    for (const template of templates) await knex('tblemailtemplates').insert(template);
  });
  afterAll(async () => await close());

  it('are found by number and by name, in the default language', async () => {
    expect((await mailTemplate(knex, '1'))?.subject).toBe('Deutsch');
    expect((await mailTemplate(knex, 'Backup'))?.subject).toBe('Default');
    expect(await mailTemplate(knex, '4')).toEqual({
      subject: 'P',
      message: 'x',
      plainText: true,
      fromName: 'N',
      fromEmail: 'n@e.test',
    });
  });

  it('are not found when they are disabled, of another kind, or missing', async () => {
    for (const id of ['3', 'Off', 'Invoice', '99', 'No such', '']) expect(await mailTemplate(knex, id)).toBeNull();
  });
});

describe('the grace of a terminated service', () => {
  it('is thirty days, what the setting says, or for good: also where that is no number', () => {
    expect(graceOf(undefined)).toBeNull();
    expect(graceOf('7')).toBe(7);
    expect(graceOf('0')).toBe(0);
    for (const text of ['never', '-1', '30 days', '', ' ', 'NaN', '99999']) expect(graceOf(text)).toBeNull();
  });
});
