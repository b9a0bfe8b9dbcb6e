import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { isIP, type LookupFunction } from 'node:net';
import { join } from 'node:path';
import { pinHostKey, rememberSeenHostKey, type WorkerJob } from '../database/worker-jobs.ts';
import { BackupError } from '../errors/backup-error.ts';
import { fetchHostKey } from '../sources/fetch-host-key.ts';
import {
  atAddress,
  hostsOf,
  isDestination,
  readSource,
  type RemoteDefinition,
  type Source,
  type SourceOrigin,
} from '../sources/registry.ts';
import { hostKeyChanged } from '../sources/ssh-errors.ts';
import { startEgressProxy } from '../security/egress-proxy.ts';
import { parseEndpoint, type EgressGuard } from '../security/egress.ts';
import type { BucketAccess } from '../storage/port.ts';
import { withConnection, type ConnectionServices } from './connected-source.ts';
import type { WorkerServices } from './services.ts';

export interface OpenedSource {
  readonly source: Source;
  readonly definition: RemoteDefinition;
  /** SFTP: the key that the connection must show. */
  readonly hostKey: string | null;
  /** The key was pinned by this very run. */
  readonly pinnedNow: boolean;
}

/** Who uses an opened source. */
export interface SourceUse {
  readonly signal: AbortSignal;
  /** Private folder of the run. */
  readonly folder: string;
  /** Closes what was opened for it. */
  readonly atEnd: (work: () => Promise<void>) => void;
}

/** The source of a job, decrypted, with its hosts checked and its host key pinned. */
export async function openSource(
  services: WorkerServices,
  job: WorkerJob,
  destination: BucketAccess,
  use: SourceUse,
): Promise<OpenedSource> {
  const source = readSource({ type: job.sourceType, configJson: decrypted(services, job), path: job.sourcePath });
  refuseDestination(source, job, destination);
  const addresses = await checkHosts(services.egress, source);
  const definition = await reachable(services, job.clientId, source, addresses, use);
  if (definition.backend !== 'sftp') return { source, definition, hostKey: null, pinnedNow: false };
  const shown = await showHostKey(source, addresses, use.signal, job.sourceHostKey);
  if (job.sourceHostKey === null) {
    const pinnedNow = await pinHostKey(services.database, job.id, shown);
    return { source, definition, hostKey: shown, pinnedNow };
  }
  if (shown !== job.sourceHostKey) {
    await rememberSeenHostKey(services.database, job.id, shown);
    throw hostKeyChanged(job.sourceHostKey, shown);
  }
  return { source, definition, hostKey: shown, pinnedNow: false };
}

function decrypted({ secrets }: WorkerServices, job: WorkerJob): string {
  try {
    return secrets.open('job.source-config', job.uuid, job.sourceConfigEnc);
  } catch (cause) {
    throw new BackupError('ERR_DECRYPT_SOURCE_CONFIG', undefined, { cause });
  }
}

function refuseDestination(source: Source, job: WorkerJob, destination: BucketAccess): void {
  if (destination.endpoint === '') return;
  const { host, port } = parseEndpoint(destination.endpoint);
  if (isDestination(source, { server: `${host}:${port}`, bucket: destination.bucket, prefix: job.prefix }))
    throw new BackupError('SOURCE_IS_DESTINATION');
}

/** Resolves and checks every server of the source; returns the first allowed address of each by `host:port`. */
export async function checkHosts(egress: EgressGuard, source: Source): Promise<Map<string, string | undefined>> {
  const addresses = new Map<string, string | undefined>();
  for (const { host, port } of hostsOf(source)) {
    const allowed = await egress.check(host, port);
    addresses.set(`${host}:${port}`, allowed.addresses[0]);
  }
  return addresses;
}

/**
 * What the transfer program is told of a source, such that it reaches nothing but what was checked, and such that it can read by the
 * client's connected account, where it has one.
 */
export async function reachable(
  services: ConnectionServices & { readonly egress: EgressGuard },
  clientId: number,
  source: Source,
  addresses: ReadonlyMap<string, string | undefined>,
  use: Pick<SourceUse, 'atEnd' | 'folder'>,
): Promise<RemoteDefinition> {
  const definition = trusting(await withConnection(services, clientId, source, use), use.folder);
  return await keptToHosts(services.egress, { source, definition, addresses }, use);
}

/**
 * The certificates that a server is held to, in a file of the run's folder: rclone takes them by file only. They hold for the traffic of this
 * one remote, never for the destination's.
 */
export function trusting(definition: RemoteDefinition, folder: string): RemoteDefinition {
  if (definition.trusted === undefined) return definition;
  const file = join(folder, `trusted-${randomUUID()}.pem`);
  writeFileSync(file, definition.trusted, { mode: 0o600 });
  // rclone reads a list of files, parted by commas.
  const listed = `"${file.replaceAll('"', '""')}"`;
  return { ...definition, options: { ...definition.options, 'override.ca_cert': listed } };
}

/** By the address instead of the name, or by a proxy of ours that lives as long as its use. */
export async function keptToHosts(
  guard: EgressGuard,
  {
    source,
    definition,
    addresses,
  }: {
    source: Source;
    definition: RemoteDefinition;
    addresses: ReadonlyMap<string, string | undefined>;
  },
  { atEnd }: Pick<SourceUse, 'atEnd'>,
): Promise<RemoteDefinition> {
  const [server] = hostsOf(source);
  if (server === undefined) return definition;
  const address = addresses.get(`${server.host}:${server.port}`);
  const { reach } = definition;
  if (reach.by === 'name') return definition;
  if (reach.by === 'address') return atAddress(definition, address);
  if (reach.unlessAllowed === true && address === undefined) return definition;
  const pinned = { ...server, address: address ?? server.host };
  const proxy = await startEgressProxy({ guard, ...(reach.onlyServer ? { server: pinned } : {}) });
  atEnd(async () => await proxy.close());
  return {
    ...definition,
    options: { ...definition.options, [reach.option]: proxy.url },
    origin: lookedUpBy(guard, definition.origin, server.port),
  };
}

/** Our own client follows no redirects, but the name may lead elsewhere with each of its connections. */
function lookedUpBy(guard: EgressGuard, origin: SourceOrigin, port: number): SourceOrigin {
  if (origin.kind !== 's3') return origin;
  const lookup: LookupFunction = (host, options, done) => {
    guard.check(host, port).then(
      ({ addresses }) => {
        const found = addresses.map((address) => ({ address, family: isIP(address) }));
        const [first] = found;
        if (first === undefined) done(new Error(`${host} has no address that may be connected to`), '');
        else if (options.all === true) done(null, found);
        else done(null, first.address, first.family);
      },
      (error: unknown) => done(error as NodeJS.ErrnoException, ''),
    );
  };
  return { ...origin, access: { ...origin.access, lookup } };
}

/** @param pinned a server with several keys is asked for the kind of this one, so that a further key is no change */
export async function showHostKey(
  source: Source,
  addresses: ReadonlyMap<string, string | undefined>,
  signal: AbortSignal,
  pinned: string | null,
): Promise<string> {
  const [server] = hostsOf(source);
  if (server === undefined) throw new BackupError('ERR_SOURCE_CONFIG');
  return await fetchHostKey(
    { ...server, address: addresses.get(`${server.host}:${server.port}`) },
    AbortSignal.any([signal, AbortSignal.timeout(15_000)]),
    pinned,
  );
}
