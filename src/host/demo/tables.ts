import type { Knex } from 'knex';

/**
 * The tables of the demo's billing system, in the shape that the adapter for billing tables reads: what a host has long had
 * before it mounts the backup pages. A migration of its own, as a host's would be.
 */
export const HOST_MIGRATIONS_TABLE = 'demo_host_migrations';

const TABLES = [
  's3_user_access_keys',
  's3_buckets',
  's3_users',
  'demo_mails',
  'tblemailtemplates',
  'tbladdonmodules',
  'tblhosting',
  'tbladmins',
  'tblclients',
] as const;

const config: Knex.MigratorConfig = {
  tableName: HOST_MIGRATIONS_TABLE,
  migrationSource: {
    getMigrations: async () => ['0001_billing'],
    getMigrationName: (name: string) => name,
    getMigration: async () => ({ up, down }),
  } satisfies Knex.MigrationSource<string>,
};

export async function createHostTables(knex: Knex): Promise<void> {
  await knex.migrate.latest(config);
}

/** Empties the host's tables: for tests that share a database. */
export async function emptyHostTables(knex: Knex): Promise<void> {
  for (const table of TABLES) await knex(table).delete();
}

async function up(knex: Knex): Promise<void> {
  await createPeople(knex);
  await createModule(knex);
  await createStorage(knex);
}

async function down(knex: Knex): Promise<void> {
  for (const table of TABLES) await knex.schema.dropTable(table);
}

async function createPeople(knex: Knex): Promise<void> {
  await knex.schema.createTable('tblclients', (table) => {
    table.increments('id');
    table.string('firstname', 191).notNullable().defaultTo('');
    table.string('lastname', 191).notNullable().defaultTo('');
    table.string('email', 191).notNullable().unique();
    table.string('password', 255).notNullable().defaultTo('');
    table.string('status', 32).notNullable().defaultTo('Active');
  });
  await knex.schema.createTable('tbladmins', (table) => {
    table.increments('id');
    table.string('username', 191).notNullable().unique();
    table.string('firstname', 191).notNullable().defaultTo('');
    table.string('lastname', 191).notNullable().defaultTo('');
    table.string('password', 255).notNullable().defaultTo('');
  });
  await knex.schema.createTable('tblhosting', (table) => {
    table.increments('id');
    table.integer('userid').unsigned().notNullable();
    table.integer('packageid').unsigned().notNullable();
    table.string('username', 191).notNullable().defaultTo('');
    table.string('domainstatus', 32).notNullable().defaultTo('Pending');
    table.integer('disklimit').notNullable().defaultTo(0);
    table.integer('diskusage').notNullable().defaultTo(0);
    table.dateTime('lastupdate');
    table.index(['userid'], 'demo_hosting_client');
  });
}

async function createModule(knex: Knex): Promise<void> {
  await knex.schema.createTable('tbladdonmodules', (table) => {
    table.increments('id');
    table.string('module', 191).notNullable();
    table.string('setting', 191).notNullable();
    table.text('value');
    table.index(['module'], 'demo_modules');
  });
  await knex.schema.createTable('tblemailtemplates', (table) => {
    table.increments('id');
    table.string('type', 64).notNullable();
    table.string('name', 191).notNullable();
    table.string('subject', 255).notNullable().defaultTo('');
    table.text('message').notNullable();
    table.string('fromname', 191).notNullable().defaultTo('');
    table.string('fromemail', 191).notNullable().defaultTo('');
    table.string('language', 64).notNullable().defaultTo('');
    table.boolean('disabled').notNullable().defaultTo(false);
    table.boolean('plaintext').notNullable().defaultTo(false);
  });
  /** The demo's outgoing mail: nothing leaves this machine. */
  await knex.schema.createTable('demo_mails', (table) => {
    table.increments('id');
    table.integer('client_id').unsigned().notNullable();
    table.text('recipients').notNullable();
    table.text('subject').notNullable();
    table.text('body', 'mediumtext').notNullable();
    table.text('html', 'mediumtext');
    table.bigInteger('sent_at_ms').notNullable();
    table.index(['client_id', 'id'], 'demo_mails_client');
  });
}

async function createStorage(knex: Knex): Promise<void> {
  await knex.schema.createTable('s3_users', (table) => {
    table.increments('id');
    table.string('name', 191).notNullable().defaultTo('');
    table.string('username', 191).notNullable();
    table.string('ceph_uid', 191);
    table.integer('parent_id').unsigned();
    table.bigInteger('tenant_id').unsigned();
    table.specificType('is_active', 'TINYINT').notNullable().defaultTo(1);
    table.specificType('is_system_managed', 'TINYINT').notNullable().defaultTo(0);
    table.dateTime('created_at');
    table.dateTime('deleted_at');
    table.index(['username'], 'demo_accounts_name');
    table.index(['parent_id'], 'demo_accounts_parent');
  });
  await knex.schema.createTable('s3_user_access_keys', (table) => {
    table.increments('id');
    table.integer('user_id').unsigned().notNullable().references('id').inTable('s3_users').onDelete('CASCADE');
    table.string('access_key', 255).notNullable();
    table.string('secret_key', 255).notNullable();
    table.string('access_key_hint', 32);
    table.specificType('is_user_generated', 'TINYINT').notNullable().defaultTo(0);
    table.dateTime('created_at');
  });
  await knex.schema.createTable('s3_buckets', (table) => {
    table.increments('id');
    table.integer('user_id').unsigned().notNullable().references('id').inTable('s3_users').onDelete('CASCADE');
    table.string('name', 255).notNullable();
    table.string('s3_id', 191);
    table.enum('versioning', ['off', 'enabled']).notNullable().defaultTo('off');
    table.enum('object_lock_enabled', ['0', '1']).notNullable().defaultTo('0');
    table.specificType('is_active', 'TINYINT').notNullable().defaultTo(1);
    table.dateTime('created_at');
    table.dateTime('deleted_at');
    table.index(['user_id'], 'demo_buckets_account');
  });
}
