/**
 * What a host under test must hold for the contract suite. Names (`ada`, `ada-main`) are the suite's own; the adapter's author puts
 * rows of this meaning into the host's real store and tells which numbers they got.
 */
export interface ContractWorld {
  /** Module settings; one of them is empty. */
  readonly settings: Readonly<Record<string, string>>;
  readonly clients: readonly ContractClient[];
  readonly accounts: readonly ContractAccount[];
  readonly buckets: readonly ContractBucket[];
  /** In the order in which they were created. Values are opaque: encrypted by the host. */
  readonly keyPairs: readonly {
    readonly account: string;
    readonly accessKeyEnc: string;
    readonly secretKeyEnc: string;
  }[];
}

export interface ContractClient {
  readonly name: string;
  readonly email: string;
  readonly firstName: string;
  readonly lastName: string;
  /** State of the client's storage service; null: it never ordered one. */
  readonly service: 'active' | 'suspended' | 'terminated' | null;
  /** Bytes, whole MiB; null = no limit, or never measured. */
  readonly limitBytes: number | null;
  readonly usedBytes: number | null;
}

export interface ContractAccount {
  readonly name: string;
  /** The client whose own account this is; null for a sub-account. */
  readonly client: string | null;
  readonly parent: string | null;
  readonly storeUid: string | null;
  readonly active: boolean;
}

export interface ContractBucket {
  readonly name: string;
  readonly account: string;
  readonly versioning: boolean;
  readonly objectLock: boolean;
  readonly active: boolean;
}

const GIB = 1024 ** 3;

export const contractWorld: ContractWorld = {
  settings: {
    s3_endpoint: 'https://storage.example.test',
    s3_region: 'eu-1',
    cloudbackup_email_template: '',
  },
  clients: [
    {
      name: 'ada',
      email: 'ada@example.test',
      firstName: 'Ada',
      lastName: 'Łovelace',
      service: 'active',
      limitBytes: 500 * GIB,
      usedBytes: 12 * GIB,
    },
    {
      name: 'grace',
      email: 'grace@example.test',
      firstName: 'Grace',
      lastName: "O'Hopper",
      service: 'suspended',
      limitBytes: null,
      usedBytes: null,
    },
    {
      name: 'edsger',
      email: 'edsger@example.test',
      firstName: 'Edsger',
      lastName: 'D.',
      service: 'terminated',
      limitBytes: null,
      usedBytes: null,
    },
    {
      name: 'newcomer',
      email: 'new@example.test',
      firstName: 'New',
      lastName: 'Comer',
      service: null,
      limitBytes: null,
      usedBytes: null,
    },
  ],
  accounts: [
    { name: 'ada-main', client: 'ada', parent: null, storeUid: '123456789012$ada', active: true },
    { name: 'ada-team', client: null, parent: 'ada-main', storeUid: 'ada-team', active: true },
    { name: 'ada-former', client: null, parent: 'ada-main', storeUid: 'ada-former', active: false },
    { name: 'grace-main', client: 'grace', parent: null, storeUid: null, active: true },
    { name: 'edsger-main', client: 'edsger', parent: null, storeUid: 'edsger', active: false },
    { name: 'edsger-team', client: null, parent: 'edsger-main', storeUid: 'edsger-team', active: true },
  ],
  buckets: [
    { name: 'ada-backups', account: 'ada-main', versioning: true, objectLock: false, active: true },
    { name: 'ada-locked', account: 'ada-team', versioning: true, objectLock: true, active: true },
    { name: 'ada-old', account: 'ada-main', versioning: false, objectLock: false, active: false },
    { name: 'ada-orphan', account: 'ada-former', versioning: false, objectLock: false, active: true },
    { name: 'grace-backups', account: 'grace-main', versioning: false, objectLock: false, active: true },
    { name: 'edsger-backups', account: 'edsger-main', versioning: false, objectLock: false, active: true },
  ],
  keyPairs: [
    { account: 'ada-main', accessKeyEnc: 'sealed-access-1', secretKeyEnc: 'sealed-secret-1' },
    { account: 'grace-main', accessKeyEnc: 'sealed-access-2', secretKeyEnc: 'sealed-secret-2' },
    { account: 'ada-main', accessKeyEnc: 'sealed-access-3', secretKeyEnc: 'sealed-secret-3' },
  ],
};
