import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { openDatabase, type Database } from '../../src/database/connect.ts';
import { billingRecords } from '../../src/host/billing-tables.ts';
import { contractWorld } from '../../src/host/contract.ts';
import type { HostRecords } from '../../src/host/port.ts';
import { Secrets } from '../../src/security/envelope.ts';
import { sealLegacy } from '../../src/security/legacy.ts';
import { bucketAccess, destinationSettings } from '../../src/storage/destinations.ts';
import { installBillingWorld, type InstalledWorld } from '../host/billing-world.ts';

const PASSPHRASE = 'the passphrase of the host';
const secrets = new Secrets(['a key of ours', PASSPHRASE]);

function sealed(text: string): string {
  return sealLegacy(text, PASSPHRASE, randomBytes(16));
}

describe('access to a bucket', () => {
  let database: Database;
  let host: HostRecords;
  let world: InstalledWorld;

  beforeAll(async () => {
    database = openDatabase({ driver: 'sqlite', filename: ':memory:' });
    host = billingRecords({ knex: database.knex });
    world = await installBillingWorld(database.knex, {
      ...contractWorld,
      keyPairs: [
        { account: 'ada-main', accessKeyEnc: sealed('FORMERACCESS'), secretKeyEnc: sealed('former/secret') },
        { account: 'ada-main', accessKeyEnc: sealed('ACCESS'), secretKeyEnc: sealed('the/secret+key') },
        { account: 'grace-main', accessKeyEnc: sealed('ACCESS'), secretKeyEnc: 'plain-text' },
        { account: 'edsger-team', accessKeyEnc: 'v2:00000000:AAAA', secretKeyEnc: sealed('secret') },
      ],
    });
  });
  afterAll(async () => await database.close());

  const request = (client: string, bucket: string) => ({
    clientId: world.clientId(client),
    bucketId: world.bucketId(bucket),
  });

  it('has the newest keys of the account that owns the bucket', async () => {
    expect(await bucketAccess(host, secrets, request('ada', 'ada-backups'))).toEqual({
      endpoint: 'https://storage.example.test',
      region: 'eu-1',
      provider: 'Ceph',
      bucket: 'ada-backups',
      accessKey: 'ACCESS',
      secretKey: 'the/secret+key',
    });
  });

  it('leaves the rows of the host as they are', async () => {
    const before: unknown = await database.knex('s3_user_access_keys').select();
    await bucketAccess(host, secrets, request('ada', 'ada-backups'));
    expect(await database.knex('s3_user_access_keys').select()).toEqual(before);
  });

  it('is refused for a bucket of somebody else, one that is not active, and one of another name', async () => {
    const gone = { code: 'ERR_DEST_BUCKET_NOT_FOUND' };
    await expect(bucketAccess(host, secrets, request('grace', 'ada-backups'))).rejects.toMatchObject(gone);
    await expect(bucketAccess(host, secrets, request('ada', 'ada-old'))).rejects.toMatchObject(gone);
    const renamed = { ...request('ada', 'ada-backups'), bucketName: 'before' };
    await expect(bucketAccess(host, secrets, renamed)).rejects.toMatchObject(gone);
  });

  it('says which of the two keys cannot be decrypted, and takes no plain text for a key', async () => {
    await expect(bucketAccess(host, secrets, request('grace', 'grace-backups'))).rejects.toMatchObject({
      code: 'ERR_DECRYPT_DEST_SECRET_KEY',
    });
    await expect(bucketAccess(host, new Secrets(['wrong']), request('ada', 'ada-backups'))).rejects.toMatchObject({
      code: 'ERR_DECRYPT_DEST_ACCESS_KEY',
    });
    await expect(bucketAccess(host, secrets, request('ada', 'ada-locked'))).rejects.toMatchObject({
      code: 'ERR_DECRYPT_DEST_ACCESS_KEY',
    });
  });
});

describe('settings of the destination', () => {
  const settings = (given: Record<string, string>): Map<string, string> => new Map(Object.entries(given));

  it('come from the module settings, overridden by the configuration', () => {
    const module = settings({ s3_endpoint: 'https://rgw.example.com/', s3_region: 'eu-1', s3_provider: 'Minio' });
    expect(destinationSettings(module)).toEqual({
      endpoint: 'https://rgw.example.com',
      region: 'eu-1',
      provider: 'Minio',
    });
    const override = { endpoint: 'http://127.0.0.1:9000', region: undefined, provider: 'Rclone' };
    expect(destinationSettings(module, override)).toEqual({
      endpoint: 'http://127.0.0.1:9000',
      region: 'eu-1',
      provider: 'Rclone',
    });
  });

  it('take https for an endpoint without a scheme, and know AWS by its name', () => {
    expect(destinationSettings(settings({ s3_endpoint: 'rgw.example.com:7480' })).endpoint).toBe(
      'https://rgw.example.com:7480',
    );
    expect(destinationSettings(settings({ s3_endpoint: 's3.eu-central-1.amazonaws.com' })).provider).toBe('AWS');
    expect(destinationSettings(settings({ s3_provider: 'AWS' }))).toEqual({
      endpoint: '',
      region: 'us-east-1',
      provider: 'AWS',
    });
  });

  it.each(['', 'ftp://rgw.example.com', 'https://user:secret@rgw.example.com', 'https://'])(
    'refuse the endpoint %j without repeating it',
    (endpoint) => {
      const attempt = (): unknown => destinationSettings(settings({ s3_endpoint: endpoint }));
      expect(attempt).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
      expect(attempt).toThrow(expect.not.objectContaining({ message: expect.stringContaining('secret@') }));
    },
  );
});
