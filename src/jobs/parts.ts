import type { Database } from '../database/connect.ts';
import { ClientSettings } from '../database/settings.ts';
import type { HostPort, HostRecords } from '../host/port.ts';
import { isTimezone } from '../schedule/zone.ts';
import type { DownloadSlots } from '../browse/download-slots.ts';
import type { PointLibrary } from '../browse/library.ts';
import type { EgressGuard } from '../security/egress.ts';
import type { Secrets } from '../security/envelope.ts';
import type { CloudHttp } from '../sources/oauth/https.ts';
import type { BucketAccess, ObjectStore } from '../storage/port.ts';

/** What the services of a client are made of. */
export interface ServiceParts {
  readonly database: Database;
  readonly host: HostRecords;
  readonly secrets: Secrets;
  readonly egress: EgressGuard;
  /** IANA zone where neither the job nor the client has one. */
  readonly timezone: string;
  /** What this process knows of restore points that were looked into lately, and the downloads that it is sending. */
  readonly library: PointLibrary;
  readonly downloads: DownloadSlots;
  /** Opens a client's bucket for reading. `patient`: nobody sits before a page and waits. */
  openStore(access: BucketAccess, options: { patient: boolean }): ObjectStore;
  /** How Google and Dropbox are reached, and how browsers come back from them. */
  readonly cloud: {
    readonly http: CloudHttp;
    readonly env: Readonly<Record<string, string | undefined>>;
    /** Where browsers reach the pages, without slash at its end; null: not told. */
    readonly publicUrl: string | null;
  };
  /** Whether this is the customer's password; absent where the host cannot tell. */
  readonly confirmPassword?: NonNullable<HostPort['confirmPassword']>;
  /** UUIDv7. */
  newId(): string;
  /** Epoch milliseconds. */
  clock(): number;
}

/** The client's zone: what it chose itself, else what the host knows of it, else the installation's. */
export async function timezoneOf(parts: ServiceParts, clientId: number): Promise<string> {
  const chosen = (await new ClientSettings(parts.database, clientId).get()).default_timezone;
  if (chosen !== null && isTimezone(chosen)) return chosen;
  const known = await parts.host.timezone(clientId);
  return known !== null && isTimezone(known) ? known : parts.timezone;
}

/** The audit log's name of a client who does something. */
export function clientActor(clientId: number): { actorKind: 'client'; actorId: string; clientId: number } {
  return { actorKind: 'client', actorId: String(clientId), clientId };
}
