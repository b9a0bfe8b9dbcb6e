import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  BackupEngine,
  EngineProcess,
  ListingOutcome,
  SourceFile,
  TransferOutcome,
} from '../../../src/engines/port.ts';
import { rcloneEngine, type RcloneEngineOptions } from '../../../src/engines/rclone/engine.ts';
import { toolPath } from '../../../src/engines/tools.ts';
import { parseSource, remoteOf, type RemoteDefinition } from '../../../src/sources/registry.ts';
import type { BucketAccess, ObjectStore } from '../../../src/storage/port.ts';

export const BINARY = { path: toolPath('rclone'), version: '1.75.2' };

export interface TestEngine extends BackupEngine {
  readonly folder: string;
  remove(): void;
}

/** The real engine on a private folder, as a worker opens it. */
export function openEngine(
  source: RemoteDefinition,
  destination: BucketAccess,
  options: Partial<RcloneEngineOptions> = {},
): TestEngine {
  const folder = mkdtempSync(join(tmpdir(), 'e3-engine-'));
  const engine = rcloneEngine({
    binary: BINARY,
    source,
    hostKey: null,
    destination,
    workFolder: folder,
    transfers: 8,
    statsSeconds: 1,
    bandwidth: 0,
    ...options,
  });
  return { ...engine, folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export function s3Source(access: BucketAccess, path = ''): RemoteDefinition {
  const { endpoint, region, bucket, accessKey, secretKey } = access;
  const config = { endpoint, region, bucket, access_key: accessKey, secret_key: secretKey };
  return remoteOf(parseSource({ type: 's3_compatible', config, path }));
}

export function sftpSource(config: Readonly<Record<string, unknown>>, path: string): RemoteDefinition {
  return remoteOf(parseSource({ type: 'sftp', config, path }));
}

export async function listAll(
  engine: BackupEngine,
  signal: AbortSignal = new AbortController().signal,
): Promise<{ files: Map<string, SourceFile>; outcome: ListingOutcome }> {
  const listing = engine.list({ signal });
  const files = new Map<string, SourceFile>();
  for await (const file of listing.files) {
    if (files.has(file.path)) throw new Error(`${file.path} was listed twice`);
    files.set(file.path, file);
  }
  return { files, outcome: await listing.outcome };
}

export async function copyTo(
  engine: BackupEngine,
  paths: readonly string[] | 'all',
  targetKey: string,
): Promise<TransferOutcome> {
  return await finished(engine.copy({ paths, targetKey, signal: new AbortController().signal }));
}

/** The outcome of a transfer, whose events are read to their end. */
export async function finished(transfer: EngineProcess): Promise<TransferOutcome> {
  for await (const _ of transfer.events) continue;
  return await transfer.done;
}

/** Keys below a prefix, without it. */
export async function keysBelow(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key.slice(prefix.length));
  return keys.sort();
}
