import type { Request } from 'express';

/** Who is asking. `session` is any string that is stable for the sign-in and unknown to others; CSRF tokens are bound to it. */
export type Identity =
  | { readonly kind: 'client'; readonly clientId: number; readonly session: string }
  | { readonly kind: 'admin'; readonly adminId: number; readonly name: string; readonly session: string }
  | { readonly kind: 'nobody' };

export interface ClientRecord {
  readonly id: number;
  readonly email: string;
  readonly firstName: string;
  readonly lastName: string;
}

/** A storage account that the host sold: a row of `s3_users`. Sub-accounts have `parentId`. */
export interface StorageAccount {
  readonly id: number;
  readonly username: string;
  readonly parentId: number | null;
  /** uid in the store, with its tenant where there is one (`tenant$uid`). */
  readonly storeUid: string | null;
}

export interface Bucket {
  readonly id: number;
  readonly name: string;
  readonly accountId: number;
  readonly versioning: boolean;
  readonly objectLock: boolean;
}

/** Newest key pair of an account, as the host stores it: encrypted. We read it, we never rewrite it. */
export interface EncryptedKeyPair {
  readonly accessKeyEnc: string;
  readonly secretKeyEnc: string;
}

export type ServiceState = 'active' | 'suspended' | 'terminated';

/** What the host's database tells, without a request: portal, worker and crons need it. */
export interface HostRecords {
  /** Name → value of the module's settings (`s3_endpoint`, `cloudbackup_email_template` …). A missing or empty one is absent. */
  settings(): Promise<ReadonlyMap<string, string>>;
  client(clientId: number): Promise<ClientRecord | null>;
  clients(clientIds: readonly number[]): Promise<Map<number, ClientRecord>>;
  /** Accounts of a client: its own and their sub-accounts, active ones only. */
  storageAccounts(clientId: number): Promise<StorageAccount[]>;
  /** Active buckets of all accounts of this client. */
  buckets(clientId: number): Promise<Bucket[]>;
  /** One bucket, only if it belongs to this client and is active. */
  bucket(clientId: number, bucketId: number): Promise<Bucket | null>;
  keyPair(accountId: number): Promise<EncryptedKeyPair | null>;
  serviceState(clientId: number): Promise<ServiceState>;
  /**
   * For how many days the data of a client whose service is `terminated` stays; then its backups are deleted, unless the service came
   * back. Null, or a host without this method: they stay for good.
   */
  terminatedGraceDays?(clientId: number): Promise<number | null>;
  /** Bytes the client may store and stores, as the host counts them; null = no limit / not known. */
  quota(clientId: number): Promise<{ limitBytes: number | null; usedBytes: number | null }>;
  /** The client's own IANA time zone, if the host knows one. */
  timezone(clientId: number): Promise<string | null>;
}

export interface NavigationLink {
  readonly label: string;
  readonly href: string;
}

/** CSS variables of the host's theme, e.g. `{ accent: '#0a7' }`; names in docs/mounting.md. */
export interface Theme {
  readonly name: string;
  readonly variables: Readonly<Record<string, string>>;
  /** Address of the host's own style sheet, if it wants one loaded. */
  readonly stylesheet?: string;
}

export interface HostPort extends HostRecords {
  /** Authentication is the host's: it tells us who sent this request. Never throws for a stranger: that is `nobody`. */
  identify(request: Request): Promise<Identity>;
  /** Where a stranger is sent to sign in, or null to answer 401. */
  signInUrl(request: Request): string | null;
  /**
   * Whether this is the password (or whatever the host asks a second time for) of the customer who is signed in: asked before the keys of its
   * encrypted backups are given out. Count failures as you count those of signing in. Without this method, the name of the job has to be typed.
   */
  confirmPassword?(clientId: number, password: string): Promise<boolean>;
  sendEmail(mail: {
    templateId: string;
    clientId: number;
    recipients: readonly string[];
    mergeVars: Readonly<Record<string, string>>;
  }): Promise<void>;
  theme(request: Request): Theme;
  navigation(request: Request, identity: Identity): NavigationLink[];
}
