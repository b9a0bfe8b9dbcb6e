import type { Request } from 'express';
import { contractWorld, type ContractWorld } from './contract-world.ts';
import type { HostPort, HostRecords } from './port.ts';

export { contractWorld } from './contract-world.ts';
export type { ContractAccount, ContractBucket, ContractClient, ContractWorld } from './contract-world.ts';

/** The functions of a test framework as Jest and Vitest have them. */
export interface TestFramework {
  describe(title: string, define: () => void): void;
  it(title: string, test: () => Promise<void>): void;
  beforeAll(prepare: () => Promise<void>): void;
  afterAll(tidy: () => Promise<void>): void;
  expect(actual: unknown): Expectation;
}

interface Expectation {
  toBe(expected: unknown): void;
  toEqual(expected: unknown): void;
}

/** A host that holds the contract's world, and the numbers its rows have there. */
export interface HostUnderTest {
  readonly host: HostRecords & Partial<HostPort>;
  readonly clientId: (name: string) => number;
  readonly accountId: (name: string) => number;
  readonly bucketId: (name: string) => number;
  /** A number that no row of the host has. */
  readonly missingId: number;
  /** Requests as the host's own session handling leaves them, for the web part. */
  readonly requests?: {
    readonly client: (name: string) => Request;
    readonly admin: () => Request;
    readonly stranger: () => Request;
  };
  readonly close: () => Promise<void>;
}

/**
 * The contract of the host port, for everybody who writes an adapter: call it in a test file with the framework's functions and a
 * function that builds a host which holds the given world. `web: false` leaves out what needs requests: for adapters of
 * `HostRecords` alone.
 */
export function hostContract(
  framework: TestFramework,
  makeHost: (world: ContractWorld) => Promise<HostUnderTest>,
  options: { readonly web?: boolean } = {},
): void {
  const { describe, beforeAll, afterAll } = framework;
  let opened: HostUnderTest | undefined;
  const current = (): HostUnderTest => {
    if (opened === undefined) throw new Error('the host is open inside of tests only');
    return opened;
  };
  describe('host port', () => {
    beforeAll(async () => {
      opened = await makeHost(contractWorld);
    });
    afterAll(async () => await opened?.close());
    settingsAndClients(framework, current);
    accounts(framework, current);
    buckets(framework, current);
    service(framework, current);
    if (options.web !== false) identities(framework, current);
  });
}

type Current = () => HostUnderTest;

function settingsAndClients({ it, expect }: TestFramework, current: Current): void {
  it('gives settings by name, and leaves empty ones out', async () => {
    const settings = await current().host.settings();
    expect(settings.get('s3_endpoint')).toBe('https://storage.example.test');
    expect(settings.get('s3_region')).toBe('eu-1');
    expect(settings.has('cloudbackup_email_template')).toBe(false);
    expect(settings.has('never_set')).toBe(false);
  });

  it('gives a client as it is written, and null for a missing one', async () => {
    const { host, clientId, missingId } = current();
    expect(await host.client(clientId('ada'))).toEqual({
      id: clientId('ada'),
      email: 'ada@example.test',
      firstName: 'Ada',
      lastName: 'Łovelace',
    });
    expect(await host.client(missingId)).toBe(null);
  });

  it('gives several clients at once, without the missing ones, however often one is named', async () => {
    const { host, clientId, missingId } = current();
    const found = await host.clients([clientId('ada'), missingId, clientId('grace'), clientId('ada')]);
    expect([...found.keys()].sort((a, b) => a - b)).toEqual([clientId('ada'), clientId('grace')].sort((a, b) => a - b));
    expect(found.get(clientId('grace'))?.lastName).toBe("O'Hopper");
    expect((await host.clients([])).size).toBe(0);
  });

  it('takes more clients at once than a statement takes values', async () => {
    const { host, clientId, missingId } = current();
    const many = Array.from({ length: 3000 }, (_, index) => missingId + index);
    expect((await host.clients([...many, clientId('ada')])).size).toBe(1);
  });
}

function accounts({ it, expect }: TestFramework, current: Current): void {
  it('gives the own account of a client and its active sub-accounts', async () => {
    const { host, clientId, accountId } = current();
    const found = await host.storageAccounts(clientId('ada'));
    expect([...found].sort((a, b) => a.id - b.id)).toEqual(
      [
        { id: accountId('ada-main'), username: 'ada-main', parentId: null, storeUid: '123456789012$ada' },
        {
          id: accountId('ada-team'),
          username: 'ada-team',
          parentId: accountId('ada-main'),
          storeUid: 'ada-team',
        },
      ].sort((a, b) => a.id - b.id),
    );
  });

  it('gives no account below one that is inactive, and none to a client without service', async () => {
    const { host, clientId, missingId } = current();
    expect(await host.storageAccounts(clientId('edsger'))).toEqual([]);
    expect(await host.storageAccounts(clientId('newcomer'))).toEqual([]);
    expect(await host.storageAccounts(missingId)).toEqual([]);
  });

  it('gives the newest key pair of an account exactly as the host stores it', async () => {
    const { host, accountId, missingId } = current();
    expect(await host.keyPair(accountId('ada-main'))).toEqual({
      accessKeyEnc: 'sealed-access-3',
      secretKeyEnc: 'sealed-secret-3',
    });
    expect(await host.keyPair(accountId('ada-team'))).toBe(null);
    expect(await host.keyPair(missingId)).toBe(null);
  });
}

function buckets({ it, expect }: TestFramework, current: Current): void {
  it('gives the active buckets of all active accounts of a client', async () => {
    const { host, clientId, accountId, bucketId } = current();
    expect([...(await host.buckets(clientId('ada')))].sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      {
        id: bucketId('ada-backups'),
        name: 'ada-backups',
        accountId: accountId('ada-main'),
        versioning: true,
        objectLock: false,
      },
      {
        id: bucketId('ada-locked'),
        name: 'ada-locked',
        accountId: accountId('ada-team'),
        versioning: true,
        objectLock: true,
      },
    ]);
    expect(await host.buckets(clientId('edsger'))).toEqual([]);
    expect(await host.buckets(clientId('newcomer'))).toEqual([]);
  });

  it('answers for a foreign bucket exactly as for a missing or inactive one', async () => {
    const { host, clientId, bucketId, missingId } = current();
    expect((await host.bucket(clientId('grace'), bucketId('grace-backups')))?.name).toBe('grace-backups');
    expect(await host.bucket(clientId('grace'), bucketId('ada-backups'))).toBe(null);
    expect(await host.bucket(clientId('ada'), bucketId('grace-backups'))).toBe(null);
    expect(await host.bucket(clientId('ada'), bucketId('ada-old'))).toBe(null);
    expect(await host.bucket(clientId('ada'), bucketId('ada-orphan'))).toBe(null);
    expect(await host.bucket(clientId('ada'), missingId)).toBe(null);
  });
}

function service({ it, expect }: TestFramework, current: Current): void {
  it('tells the state of the service, and never calls a client terminated that did not order one', async () => {
    const { host, clientId, missingId } = current();
    expect(await host.serviceState(clientId('ada'))).toBe('active');
    expect(await host.serviceState(clientId('grace'))).toBe('suspended');
    expect(await host.serviceState(clientId('edsger'))).toBe('terminated');
    expect(await host.serviceState(clientId('newcomer'))).toBe('suspended');
    expect(await host.serviceState(missingId)).toBe('suspended');
  });

  it('tells quota and usage in bytes, null where there is none', async () => {
    const { host, clientId } = current();
    expect(await host.quota(clientId('ada'))).toEqual({ limitBytes: 500 * 1024 ** 3, usedBytes: 12 * 1024 ** 3 });
    expect(await host.quota(clientId('grace'))).toEqual({ limitBytes: null, usedBytes: null });
    expect(await host.quota(clientId('newcomer'))).toEqual({ limitBytes: null, usedBytes: null });
  });

  it('gives a time zone that this machine knows, or null', async () => {
    const { host, clientId } = current();
    const zone = await host.timezone(clientId('ada'));
    if (zone !== null) expect(typeof new Intl.DateTimeFormat('en', { timeZone: zone }).format()).toBe('string');
  });
}

function identities({ it, expect }: TestFramework, current: Current): void {
  function web(): { host: HostPort; requests: NonNullable<HostUnderTest['requests']> } {
    const { host, requests } = current();
    if (requests === undefined || !isWholePort(host)) {
      throw new Error(
        'The web part of the contract needs requests and a whole HostPort; leave it out with { web: false }.',
      );
    }
    return { host, requests };
  }

  it('knows who sent a request: a client, an admin, or nobody', async () => {
    const { host, requests } = web();
    const client = await host.identify(requests.client('ada'));
    expect(client.kind === 'client' ? client.clientId : client).toBe(current().clientId('ada'));
    expect((await host.identify(requests.admin())).kind).toBe('admin');
    expect(await host.identify(requests.stranger())).toEqual({ kind: 'nobody' });
  });

  it('names each sign-in by a long text that stays the same and differs from every other', async () => {
    const { host, requests } = web();
    const sessionOf = async (request: Request): Promise<string> => {
      const identity = await host.identify(request);
      return identity.kind === 'nobody' ? '' : identity.session;
    };
    const ada = await sessionOf(requests.client('ada'));
    const sessions = [ada, await sessionOf(requests.client('grace')), await sessionOf(requests.admin())];
    expect(new Set(sessions).size).toBe(3);
    expect(sessions.every((session) => session.length >= 16)).toBe(true);
    expect(await sessionOf(requests.client('ada'))).toBe(ada);
  });

  it('gives every page a theme and a navigation whose links are addresses', async () => {
    const { host, requests } = web();
    for (const request of [requests.client('ada'), requests.admin(), requests.stranger()]) {
      const { name, variables } = host.theme(request);
      expect(typeof name).toBe('string');
      expect(Object.values(variables).every((value) => !/[<>{};]/.test(value))).toBe(true);
      for (const link of host.navigation(request, await host.identify(request))) {
        expect(link.label.length > 0).toBe(true);
        expect(/^(?:https?:\/\/|[/.?#])/.test(link.href)).toBe(true);
      }
    }
  });
}

function isWholePort(host: HostUnderTest['host']): host is HostPort {
  const { identify, theme, navigation } = host;
  return identify !== undefined && theme !== undefined && navigation !== undefined;
}
