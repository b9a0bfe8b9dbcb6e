import type { Request } from 'express';
import type { Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';
import {
  AccountRows,
  BucketRows,
  ClientRows,
  graceOf,
  isTrue,
  KeyRow,
  quotaOf,
  ServiceRows,
  SettingRows,
  stateOf,
  TemplateRows,
  type Service,
} from './billing-rows.ts';
import type { MailTemplate } from './mail-template.ts';
import type {
  Bucket,
  ClientRecord,
  EncryptedKeyPair,
  HostPort,
  HostRecords,
  Identity,
  StorageAccount,
} from './port.ts';
import { createMailSender, smtpDelivery, smtpHost, type SendEmail } from './smtp.ts';

/**
 * The host port on the tables of a WHMCS-shaped billing system. Everything here only reads.
 *
 * A customer's storage accounts are found through its services: `tblhosting` rows of the storage products carry the user name of
 * the account in `s3_users`. Only these products count, because the user name of a web hosting product may well be
 * equal to that of somebody else's storage account.
 *
 * The knex instance may be the host's own with whatever options it likes: columns are selected under one-word names that no case
 * mapping touches, and numbers and booleans are taken in every form in which drivers hand them out.
 */
export interface BillingRecordsOptions {
  readonly knex: Knex;
  /** Module whose rows of `tbladdonmodules` are our settings. Default: `cloudstorage`. */
  readonly module?: string;
  /** Table or view with the module's settings; a worker's user may be granted a view without secrets. Default: `tbladdonmodules`. */
  readonly settingsTable?: string;
  /** Numbers of the storage products (`tblhosting.packageid`). Default: the module setting `cloudbackup_product_ids`, a comma list. */
  readonly productIds?: readonly number[];
  /** IANA time zone of a client, where the host knows it. */
  readonly timezone?: (clientId: number) => Promise<string | null>;
}

/** What only the host's web application can tell. */
export interface BillingTablesOptions extends BillingRecordsOptions {
  readonly identify: (request: Request) => Promise<Identity> | Identity;
  /** Default: nobody is sent anywhere, strangers get 401. */
  readonly signInUrl?: HostPort['signInUrl'];
  /** Default: absent. */
  readonly confirmPassword?: NonNullable<HostPort['confirmPassword']>;
  readonly theme?: HostPort['theme'];
  readonly navigation?: HostPort['navigation'];
  /** Default: SMTP by `SMTP_URL` with the templates of `tblemailtemplates`; sender `SMTP_FROM`. */
  readonly sendEmail?: SendEmail;
}

const DEFAULT_MODULE = 'cloudstorage';
const PRODUCTS_SETTING = 'cloudbackup_product_ids';
const GRACE_SETTING = 'cloudbackup_terminated_grace_days';

/** The host port for the portal. */
export function billingTables(options: BillingTablesOptions): HostPort {
  return {
    ...billingRecords(options),
    identify: async (request) => await options.identify(request),
    signInUrl: options.signInUrl ?? (() => null),
    ...(options.confirmPassword && { confirmPassword: options.confirmPassword }),
    theme: options.theme ?? (() => ({ name: 'default', variables: {} })),
    navigation: options.navigation ?? (() => []),
    sendEmail: options.sendEmail ?? sendBySmtp(options.knex),
  };
}

/** The part that needs no request: what workers and crons use. */
export function billingRecords(options: BillingRecordsOptions): HostRecords {
  const { knex } = options;

  async function settings(): Promise<ReadonlyMap<string, string>> {
    const rows = SettingRows.parse(
      await knex(options.settingsTable ?? 'tbladdonmodules')
        .where('module', options.module ?? DEFAULT_MODULE)
        .select({ name: 'setting', value: 'value' }),
    );
    return new Map(rows.filter((row) => row.value.trim() !== '').map((row) => [row.name, row.value]));
  }

  async function productIds(): Promise<readonly number[]> {
    const ids = options.productIds ?? parseProductIds((await settings()).get(PRODUCTS_SETTING) ?? '');
    if (ids.length > 0) return ids;
    throw new BackupError(
      'ERR_CONFIG_INVALID',
      `The storage products are not known. Set "${PRODUCTS_SETTING}" in the module's settings, or productIds in the options.`,
    );
  }

  async function services(clientId: number): Promise<Service[]> {
    const rows: unknown = await knex('tblhosting')
      .where('userid', clientId)
      .whereIn('packageid', [...(await productIds())])
      .orderBy('id')
      .select({
        username: 'username',
        state: 'domainstatus',
        limit: 'disklimit',
        used: 'diskusage',
        measured: 'lastupdate',
      });
    return ServiceRows.parse(rows);
  }

  async function storageAccounts(clientId: number): Promise<StorageAccount[]> {
    const usernames = (await services(clientId)).map((service) => service.username).filter((name) => name !== '');
    if (usernames.length === 0) return [];
    // The host's collation may ignore case and accents; user names of the store do not.
    const own = (await activeAccounts(knex, 'username', usernames)).filter((account) =>
      usernames.includes(account.username),
    );
    const ids = own.map((account) => account.id);
    const subAccounts = ids.length === 0 ? [] : await activeAccounts(knex, 'parent_id', ids);
    return [...new Map([...own, ...subAccounts].map((account) => [account.id, account])).values()];
  }

  async function clients(clientIds: readonly number[]): Promise<Map<number, ClientRecord>> {
    const found = new Map<number, ClientRecord>();
    for (const ids of inSlices([...new Set(clientIds)])) {
      const rows: unknown = await knex('tblclients')
        .whereIn('id', ids)
        .select({ id: 'id', email: 'email', first: 'firstname', last: 'lastname' });
      for (const row of ClientRows.parse(rows)) {
        found.set(row.id, { id: row.id, email: row.email, firstName: row.first, lastName: row.last });
      }
    }
    return found;
  }

  async function buckets(clientId: number, only?: number): Promise<Bucket[]> {
    const accountIds = (await storageAccounts(clientId)).map((account) => account.id);
    const found: Bucket[] = [];
    for (const ids of inSlices(accountIds)) found.push(...(await activeBuckets(knex, ids, only)));
    return found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id - b.id));
  }

  return {
    settings,
    clients,
    client: async (clientId) => (await clients([clientId])).get(clientId) ?? null,
    storageAccounts,
    buckets: (clientId) => buckets(clientId),
    bucket: async (clientId, bucketId) => (await buckets(clientId, bucketId))[0] ?? null,
    keyPair: (accountId) => newestKeyPair(knex, accountId),
    serviceState: async (clientId) => stateOf(await services(clientId)),
    terminatedGraceDays: async () => graceOf((await settings()).get(GRACE_SETTING)),
    quota: async (clientId) => quotaOf(await services(clientId)),
    timezone: async (clientId) => (await options.timezone?.(clientId)) ?? null,
  };
}

/** Template by its number or name. Of several languages the default one (empty `language`) is taken. */
export async function mailTemplate(knex: Knex, templateId: string): Promise<MailTemplate | null> {
  const query = knex('tblemailtemplates').select({
    subject: 'subject',
    message: 'message',
    plain: 'plaintext',
    name: 'fromname',
    address: 'fromemail',
    language: 'language',
    disabled: 'disabled',
  });
  const rows: unknown = await (/^\d{1,15}$/.test(templateId)
    ? query.where('id', Number(templateId))
    : query.where({ name: templateId, type: 'general' }).orderBy('id'));
  const usable = TemplateRows.parse(rows).filter((row) => !row.disabled);
  const row = usable.find((candidate) => candidate.language === '') ?? usable[0];
  if (row === undefined) return null;
  return {
    subject: row.subject,
    message: row.message,
    plainText: row.plain,
    fromName: row.name === '' ? null : row.name,
    fromEmail: row.address === '' ? null : row.address,
  };
}

function sendBySmtp(knex: Knex): SendEmail {
  let send: SendEmail | undefined;
  return async (mail) => {
    send ??= smtpSender(knex);
    await send(mail);
  };
}

function smtpSender(knex: Knex): SendEmail {
  const url = process.env['SMTP_URL'] ?? '';
  if (url === '') {
    throw new BackupError(
      'ERR_CONFIG_INVALID',
      'No mail server is configured. Set SMTP_URL, or give the host port a sendEmail.',
    );
  }
  return createMailSender({
    template: (templateId) => mailTemplate(knex, templateId),
    from: { name: '', address: process.env['SMTP_FROM'] || `no-reply@${smtpHost(url)}` },
    deliver: smtpDelivery(url),
  });
}

async function activeAccounts(
  knex: Knex,
  column: 'username' | 'parent_id',
  values: readonly (string | number)[],
): Promise<StorageAccount[]> {
  const found: StorageAccount[] = [];
  for (const slice of inSlices(values)) {
    const rows: unknown = await knex('s3_users')
      .whereIn(column, slice)
      .where('is_active', 1)
      .whereNull('deleted_at')
      .orderBy('id')
      .select({ id: 'id', username: 'username', parent: 'parent_id', uid: 'ceph_uid', tenant: 'tenant_id' });
    for (const row of AccountRows.parse(rows)) {
      const uid = row.uid === '' ? null : row.tenant === '' ? row.uid : `${row.tenant}$${row.uid}`;
      found.push({ id: row.id, username: row.username, parentId: row.parent ?? null, storeUid: uid });
    }
  }
  return found;
}

async function activeBuckets(knex: Knex, accountIds: readonly number[], only?: number): Promise<Bucket[]> {
  const query = knex('s3_buckets').whereIn('user_id', accountIds).where('is_active', 1).whereNull('deleted_at');
  if (only !== undefined) void query.where('id', only);
  const rows: unknown = await query.select({
    id: 'id',
    name: 'name',
    account: 'user_id',
    versioning: 'versioning',
    lock: 'object_lock_enabled',
  });
  return BucketRows.parse(rows).map((row) => ({
    id: row.id,
    name: row.name,
    accountId: row.account,
    versioning: isTrue(row.versioning.toLowerCase()),
    objectLock: row.lock,
  }));
}

async function newestKeyPair(knex: Knex, accountId: number): Promise<EncryptedKeyPair | null> {
  const row: unknown = await knex('s3_user_access_keys')
    .where('user_id', accountId)
    .orderBy('id', 'desc')
    .select({ access: 'access_key', secret: 'secret_key' })
    .first();
  if (row === undefined || row === null) return null;
  const { access, secret } = KeyRow.parse(row);
  return { accessKeyEnc: access, secretKeyEnc: secret };
}

function parseProductIds(text: string): number[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => /^\d{1,15}$/.test(part))
    .map(Number);
}

/** SQLite takes some hundred bound values a statement. */
function inSlices<T>(values: readonly T[], size = 500): T[][] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, index) =>
    values.slice(index * size, (index + 1) * size),
  );
}
