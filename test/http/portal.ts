import express, { type Express, type Request } from 'express';
import request, { type Response } from 'supertest';
import { v7 } from 'uuid';
import type { Database } from '../../src/database/connect.ts';
import { billingTables } from '../../src/host/billing-tables.ts';
import type { ContractWorld } from '../../src/host/contract.ts';
import type { HostPort, Identity } from '../../src/host/port.ts';
import { csrfTokenFor } from '../../src/http/guard.ts';
import { createCloudBackup, createLog, Secrets, type CloudBackup, type CloudBackupOptions } from '../../src/index.ts';
import { openTestDatabase, type TestDatabase } from '../database/both.ts';
import { installBillingWorld, type InstalledWorld } from '../host/billing-world.ts';

/** Two customers who must never see anything of each other, one whose service is suspended. */
const world: ContractWorld = {
  settings: { s3_endpoint: 'https://storage.example.test', s3_region: 'eu-1' },
  clients: (
    [
      ['ada', 'active'],
      ['grace', 'active'],
      ['edsger', 'suspended'],
    ] as const
  ).map(([name, service]) => ({
    name,
    email: `${name}@example.test`,
    firstName: name,
    lastName: 'Tester',
    service,
    limitBytes: null,
    usedBytes: null,
  })),
  accounts: ['ada', 'grace', 'edsger'].map((name) => ({
    name: `${name}-main`,
    client: name,
    parent: null,
    storeUid: `${name}-uid`,
    active: true,
  })),
  buckets: ['ada', 'ada-second', 'grace', 'edsger'].map((name) => ({
    name: `${name}-backups`,
    account: `${name.split('-')[0]}-main`,
    versioning: false,
    objectLock: false,
    active: true,
  })),
  keyPairs: [],
};

export type Person = 'ada' | 'grace' | 'edsger' | 'admin' | 'nobody';

/** A portal in a bare Express 5 app on a database of its own, with real billing tables. Who asks stands in a header. */
export interface TestPortal {
  readonly app: Express;
  readonly backup: CloudBackup;
  readonly database: Database;
  readonly test: TestDatabase;
  readonly host: HostPort;
  readonly secrets: Secrets;
  readonly world: InstalledWorld;
  clientId(person: Person): number;
  bucketId(name: string): number;
  /** Requests as this person's browser sends them. */
  as(person: Person): Browser;
  close(): Promise<void>;
}

export interface Browser {
  readonly token: string;
  get(name: string, query?: Readonly<Record<string, string | number>>): Promise<Response>;
  getWith(
    name: string,
    query: Readonly<Record<string, string | number>>,
    headers: Readonly<Record<string, string>>,
  ): Promise<Response>;
  post(name: string, fields?: Readonly<Record<string, unknown>>): Promise<Response>;
  page(path: string): Promise<Response>;
}

export const MOUNTED = '/backup';
const WHO = 'x-test-person';

export async function openPortal(
  options: Partial<CloudBackupOptions> & {
    mount?: (app: Express, backup: CloudBackup) => void;
    confirmPassword?: NonNullable<HostPort['confirmPassword']>;
  } = {},
): Promise<TestPortal> {
  const { mount, confirmPassword, ...given } = options;
  const opened = await openTestDatabase('sqlite');
  const { database } = opened.test;
  const installed = await installBillingWorld(database.knex, world);
  const secrets = new Secrets(['a test secret of some length']);
  const identityOf = (person: string | undefined): Identity => {
    if (person === 'admin') return { kind: 'admin', adminId: 1, name: 'Root', session: 'session of root' };
    if (person === undefined || person === 'nobody') return { kind: 'nobody' };
    return { kind: 'client', clientId: installed.clientId(person), session: `session of ${person}` };
  };
  const host = billingTables({
    knex: database.knex,
    productIds: [7],
    identify: (incoming: Request) => identityOf(incoming.get(WHO)),
    ...(confirmPassword && { confirmPassword }),
    theme: () => ({ name: 'Test hosting', variables: { accent: '#0a7' } }),
    navigation: () => [{ label: 'Home', href: '/' }],
    sendEmail: () => Promise.resolve(),
  });
  const backup = await createCloudBackup({
    database,
    host,
    secrets,
    env: {},
    timezone: 'Europe/Berlin',
    changesPerMinute: 100_000,
    resolve: () => Promise.resolve(['93.184.215.14']),
    log: createLog({ level: 'error', silent: !process.env['DEBUG'] }),
    ...given,
  });
  const app = express();
  if (mount === undefined) app.use(MOUNTED, backup.router);
  else mount(app, backup);

  const as = (person: Person): Browser => {
    const identity = identityOf(person);
    const token = identity.kind === 'nobody' ? '' : csrfTokenFor(identity, secrets);
    const address = (name: string): string => `${MOUNTED}/api/${name}`;
    return {
      token,
      get: async (name, query = {}) => await request(app).get(address(name)).query(query).set(WHO, person),
      getWith: async (name, query, headers) =>
        await request(app).get(address(name)).query(query).set(WHO, person).set(headers),
      post: async (name, fields = {}) =>
        await request(app).post(address(name)).set(WHO, person).set('X-CSRF-Token', token).send(fields),
      page: async (path) => await request(app).get(`${MOUNTED}${path}`).set(WHO, person),
    };
  };
  return {
    app,
    backup,
    database,
    test: opened.test,
    host,
    secrets,
    world: installed,
    clientId: (person) => installed.clientId(person),
    bucketId: (name) => installed.bucketId(name),
    as,
    async close() {
      await backup.close();
      await opened.release();
    },
  };
}

/** Fields of a job that can be made as they are. */
export function jobFields(
  portal: TestPortal,
  changes: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    name: 'Photos',
    source_type: 's3_compatible',
    source_config: {
      endpoint: 'https://s3.example.com',
      region: 'eu-1',
      bucket: 'photos',
      access_key: 'AKEXAMPLE',
      secret_key: 'very secret',
    },
    source_path: '2024',
    dest_bucket_id: portal.bucketId('ada-backups'),
    schedule_type: 'daily',
    schedule_time: '02:30',
    ...changes,
  };
}

export async function makeJob(
  portal: TestPortal,
  person: Person = 'ada',
  changes: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const bucket = person === 'ada' ? {} : { dest_bucket_id: portal.bucketId(`${person}-backups`) };
  const response = await portal.as(person).post('cloudbackup_create_job', jobFields(portal, { ...bucket, ...changes }));
  if (response.status !== 200) throw new Error(`no job was made: ${response.text}`);
  return (response.body as { job_id: string }).job_id;
}

/** A run that has ended well, with its restore point, as a worker leaves it. */
export async function makePoint(portal: TestPortal, jobUuid: string): Promise<{ run: string; point: string }> {
  const { knex } = portal.database;
  const now = portal.database.now();
  const job = (await knex('s3_cloudbackup_jobs').where('uuid', jobUuid).first('*')) as Record<string, unknown>;
  const run = v7();
  const point = v7();
  const [runId] = (await knex('s3_cloudbackup_runs').insert({
    uuid: run,
    job_id: job['id'],
    job_uuid: jobUuid,
    client_id: job['client_id'],
    kind: 'backup',
    status: 'success',
    created_at: now,
    started_at: now,
    finished_at: now,
    updated_at: now,
  })) as number[];
  await knex('s3_cloudbackup_restore_points').insert({
    uuid: point,
    client_id: job['client_id'],
    job_id: job['id'],
    run_id: runId,
    run_uuid: run,
    engine: 'sync',
    status: 'success',
    generation: runId,
    claim_name: 'c1-00000000',
    manifest_key: `manifests/${run}.c1-00000000.json`,
    manifest_sha256: '0'.repeat(64),
    files: 3,
    bytes: 300,
    dest_bucket_id: job['dest_bucket_id'],
    dest_bucket: job['dest_bucket_name'],
    dest_prefix: job['dest_prefix'],
    created_at: now,
    finished_at: now,
  });
  return { run, point };
}
