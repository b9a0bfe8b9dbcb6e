import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v7 } from 'uuid';
import type { Database } from '../../src/database/connect.ts';
import { ClientSources, readConnection, type StoredConnection } from '../../src/database/sources.ts';
import type { BackupEngine, ListingOutcome, SourceFile, TransferOutcome } from '../../src/engines/port.ts';
import { rcloneEngine } from '../../src/engines/rclone/engine.ts';
import { toolPath } from '../../src/engines/tools.ts';
import { createLog } from '../../src/log.ts';
import { Secrets } from '../../src/security/envelope.ts';
import type { ProviderName } from '../../src/sources/oauth/providers.ts';
import { parseSource, type RemoteDefinition } from '../../src/sources/registry.ts';
import { withConnection } from '../../src/worker/connected-source.ts';
import { openTestDatabase } from '../database/open.ts';
import { startCloudFake, type CloudFake } from '../servers/cloud-fake.ts';
import { startRcloneS3, type S3Server } from '../servers/rclone-serve.ts';

const CLIENT = 7;

/** The imitated services, a connection in a real database, an S3 server to copy to: everything of a run but the run. */
export interface ConnectedWorld {
  readonly fake: CloudFake;
  readonly database: Database;
  readonly secrets: Secrets;
  readonly s3: S3Server & { readonly folder: string };
  /** A connection with a refresh token that is good. */
  connect(provider: ProviderName): Promise<string>;
  connection(uuid: string): Promise<StoredConnection>;
  refreshTokenOf(uuid: string): Promise<string>;
  /** What the transfer program would be told. */
  open(uuid: string, provider: ProviderName, config?: object, path?: string): Promise<RemoteDefinition>;
  define(type: string, config: Readonly<Record<string, unknown>>, path: string): Promise<RemoteDefinition>;
  engine(definition: RemoteDefinition): BackupEngine;
  close(): Promise<void>;
}

export async function openConnectedWorld(): Promise<ConnectedWorld> {
  const fake = await startCloudFake();
  const before = Object.fromEntries(Object.keys(fake.env).map((name) => [name, process.env[name]]));
  const clients = {
    GOOGLE_CLIENT_ID: fake.google.oauth.clientId,
    GOOGLE_CLIENT_SECRET: fake.google.oauth.clientSecret,
    DROPBOX_CLIENT_ID: fake.dropbox.oauth.clientId,
    DROPBOX_CLIENT_SECRET: fake.dropbox.oauth.clientSecret,
  };
  Object.assign(process.env, fake.env, clients);
  const { test, release } = await openTestDatabase('sqlite');
  const { database } = test;
  const secrets = new Secrets(['a test secret of some length']);
  const s3 = await startRcloneS3({ flags: ['--dir-cache-time', '100ms'] });
  mkdirSync(join(s3.folder, 'copies'));
  const folder = mkdtempSync(join(tmpdir(), 'e3-connected-'));
  const endings: (() => Promise<void>)[] = [];
  const connection = async (uuid: string): Promise<StoredConnection> => {
    const found = await readConnection(database, { clientId: CLIENT, uuid });
    if (found === null) throw new Error('the connection is gone');
    return found;
  };
  const define: ConnectedWorld['define'] = async (type, config, path) => {
    const source = parseSource({ type, config, path });
    const records = { settings: () => Promise.resolve(new Map<string, string>()) };
    const log = createLog({ level: 'error', silent: true });
    return await withConnection({ database, secrets, records, log }, CLIENT, source, {
      atEnd: (work) => endings.push(work),
    });
  };
  return {
    fake,
    database,
    secrets,
    s3,
    connection,
    async connect(provider) {
      const uuid = v7();
      const { oauth } = provider === 'dropbox' ? fake.dropbox : fake.google;
      await database.transaction(async (trx) => {
        await new ClientSources(database, CLIENT).insert(trx, {
          uuid,
          provider,
          displayName: provider,
          accountEmail: 'ada@example.test',
          scopes: [],
          refreshTokenEnc: secrets.seal('source.refresh-token', uuid, oauth.issueRefreshToken()),
        });
      });
      return uuid;
    },
    async refreshTokenOf(uuid) {
      return secrets.open('source.refresh-token', uuid, (await connection(uuid)).refreshTokenEnc ?? '');
    },
    open: async (uuid, provider, config = {}, path = '') =>
      await define(provider, { connection: uuid, ...config }, path),
    define,
    engine: (definition) =>
      rcloneEngine({
        binary: { path: toolPath('rclone'), version: '1.75.2' },
        source: definition,
        hostKey: null,
        destination: s3.access('copies'),
        workFolder: folder,
        transfers: 8,
        statsSeconds: 1,
        bandwidth: 0,
      } as Parameters<typeof rcloneEngine>[0]),
    async close() {
      for (const work of endings) await work();
      await s3.stop();
      await release();
      await fake.stop();
      rmSync(folder, { recursive: true, force: true });
      for (const name of Object.keys(clients)) delete process.env[name];
      for (const [name, value] of Object.entries(before)) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    },
  };
}

export async function listAll(
  engine: BackupEngine,
): Promise<{ files: Map<string, SourceFile>; outcome: ListingOutcome; paths: string[] }> {
  const listing = engine.list({ signal: new AbortController().signal });
  const files = new Map<string, SourceFile>();
  const paths: string[] = [];
  for await (const file of listing.files) {
    paths.push(file.path);
    if (!files.has(file.path)) files.set(file.path, file);
  }
  return { files, outcome: await listing.outcome, paths: paths.sort() };
}

export async function copyAll(
  engine: BackupEngine,
  targetKey: string,
  paths: readonly string[] | 'all' = 'all',
): Promise<TransferOutcome> {
  const process = engine.copy({ paths, targetKey, signal: new AbortController().signal });
  for await (const event of process.events) void event;
  return await process.done;
}
