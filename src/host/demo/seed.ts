import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { sealLegacy } from '../../security/legacy.ts';
import { hashPassword } from './passwords.ts';
import type { DemoSecrets } from './secrets.ts';

export const ADA = 'ada@example.test';
export const GRACE = 'grace@example.test';
export const ADMIN = 'admin';

/** The storage product of the demo's price list. */
const STORAGE_PRODUCT = 7;
const MODULE = 'cloudstorage';

export const demoCustomers = [
  { email: ADA, firstName: 'Ada', lastName: 'Example', key: 'ada', buckets: ['ada-backups', 'ada-archive'] },
  { email: GRACE, firstName: 'Grace', lastName: 'Example', key: 'grace', buckets: ['grace-backups', 'grace-archive'] },
] as const;

const MAIL_TEMPLATE = {
  name: 'Cloud backup report',
  subject: 'Backup "{$job_name}": {$run_status}',
  message: `<p>Dear {$client_name},</p>
<p>this is about your backup <b>{$job_name}</b>: <b>{$run_status}</b>.</p>
<p>{$error_summary}</p>
<table>
<tr><td>Source:</td><td>{$source_display_name}</td></tr>
<tr><td>Destination:</td><td>{$dest_bucket_name}/{$dest_prefix}</td></tr>
<tr><td>Started:</td><td>{$started_at}</td></tr>
<tr><td>Finished:</td><td>{$finished_at} ({$duration})</td></tr>
<tr><td>Transferred:</td><td>{$bytes_transferred_formatted}, {$files_transferred} files</td></tr>
<tr><td>Last good restore point:</td><td>{$last_good_at}</td></tr>
</table>
<p>{$job_log_report_html}</p>
<p>Northwind Hosting</p>`,
} as const;

/**
 * Puts two customers with their storage, an admin, the module's settings and a mail template into the host's tables, once.
 * Keys of storage accounts are encrypted in the older format, as billing systems of this kind do.
 */
export async function seedHost(knex: Knex, secrets: DemoSecrets): Promise<void> {
  if ((await knex('tbladmins').select('id').first()) !== undefined) return;
  const hashes = {
    ada: await hashPassword(secrets.passwords.ada),
    grace: await hashPassword(secrets.passwords.grace),
    admin: await hashPassword(secrets.passwords.admin),
  };
  await knex.transaction(async (trx) => {
    for (const customer of demoCustomers) await insertCustomer(trx, customer, hashes[customer.key], secrets);
    const templateId = await insert(trx, 'tblemailtemplates', { ...MAIL_TEMPLATE, type: 'general' });
    const settings = {
      cloudbackup_enabled: 'on',
      cloudbackup_product_ids: String(STORAGE_PRODUCT),
      cloudbackup_email_template: String(templateId),
      s3_region: 'us-east-1',
    };
    for (const [setting, value] of Object.entries(settings)) {
      await insert(trx, 'tbladdonmodules', { module: MODULE, setting, value });
    }
    await insert(trx, 'tbladmins', { username: ADMIN, firstname: 'Demo', lastname: 'Admin', password: hashes.admin });
  });
}

/** Writes one module setting, as the host's settings page would: the address of the storage may change between two starts. */
export async function writeSetting(knex: Knex, setting: string, value: string): Promise<void> {
  const changed = await knex('tbladdonmodules').where({ module: MODULE, setting }).update({ value });
  if (changed === 0) await knex('tbladdonmodules').insert({ module: MODULE, setting, value });
}

async function insertCustomer(
  trx: Knex.Transaction,
  customer: (typeof demoCustomers)[number],
  password: string,
  secrets: DemoSecrets,
): Promise<void> {
  const clientId = await insert(trx, 'tblclients', {
    firstname: customer.firstName,
    lastname: customer.lastName,
    email: customer.email,
    password,
  });
  const accountId = await insert(trx, 's3_users', {
    name: `${customer.firstName} ${customer.lastName}`,
    username: customer.key,
    ceph_uid: customer.key,
  });
  await insert(trx, 'tblhosting', {
    userid: clientId,
    packageid: STORAGE_PRODUCT,
    username: customer.key,
    domainstatus: 'Active',
    disklimit: 500 * 1024,
  });
  const { accessKey, secretKey } = secrets.storage[customer.key];
  await insert(trx, 's3_user_access_keys', {
    user_id: accountId,
    access_key: sealLegacy(accessKey, secrets.encryptionKey, randomBytes(16)),
    secret_key: sealLegacy(secretKey, secrets.encryptionKey, randomBytes(16)),
    access_key_hint: `${accessKey.slice(0, 4)}…${accessKey.slice(-4)}`,
  });
  for (const name of customer.buckets) await insert(trx, 's3_buckets', { user_id: accountId, name });
}

async function insert(trx: Knex.Transaction, table: string, row: Record<string, unknown>): Promise<number> {
  const [id] = (await trx(table).insert(row)) as number[];
  return Number(id);
}
