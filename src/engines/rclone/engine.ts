import { randomUUID } from 'node:crypto';
import type { JobCipher } from '../../crypt/job-cipher.ts';
import { pathOfKey } from '../../layout/encoding.ts';
import { EtagJudge } from '../../sources/etag-judge.ts';
import { listS3, lookS3 } from '../../sources/list-s3.ts';
import { listSftp, lookSftp } from '../../sources/list-sftp.ts';
import { readS3 } from '../../sources/read-s3.ts';
import type { RemoteDefinition } from '../../sources/registry.ts';
import type { BucketAccess } from '../../storage/port.ts';
import { paced } from '../paced.ts';
import type { BackupEngine, SourceFile, SourceListing } from '../port.ts';
import { copyArguments, startCopy } from './copy.ts';
import { storageSide } from './error-classes.ts';
import { filesInOnePiece, MEMORY_MB, memoryFlags } from './memory.ts';
import type { RemoteCall } from './empty-files.ts';
import { listRemote, lookRemote } from './list.ts';
import type { RcloneBinary, RcloneCommand } from './process.ts';
import { rcloneReader } from './reader.ts';
import { bucketRemote, cryptRemote, sourceRemote, type Remote } from './remotes.ts';
import { transferCommand } from './transfer.ts';

export interface RcloneEngineOptions {
  readonly binary: RcloneBinary;
  readonly source: RemoteDefinition;
  /** SFTP: the pinned host key. */
  readonly hostKey: string | null;
  readonly destination: BucketAccess;
  /** Files are encrypted on their way. Null or absent: they are not. */
  readonly cipher?: JobCipher | null;
  /** Private folder of the claim: file lists and records of children lie here. */
  readonly workFolder: string;
  /** Files at once, at most. */
  readonly transfers: number;
  /** Megabytes that one rclone may use, about. Default 512. */
  readonly memoryMb?: number;
  readonly statsSeconds: number;
  /** Bytes per second, 0 = unlimited. */
  readonly bandwidth: number;
}

/** Files of a source that sets no limit itself, for archives. */
const READ_AT_ONCE = 16;

/**
 * Backups with rclone, which copies. S3 and SFTP sources are listed by their protocols themselves (see src/sources/list-s3.ts,
 * list-sftp.ts), others by rclone too.
 */
export function rcloneEngine(options: RcloneEngineOptions): BackupEngine {
  const { binary, source: definition, hostKey, workFolder } = options;
  const { origin } = definition;
  const listed = { files: null as number | null, largest: 0, byName: false };
  const etags = new EtagJudge();
  const remoteCall = (signal: AbortSignal): RemoteCall => ({ binary, definition, hostKey, folder: workFolder, signal });
  const openListing = (signal: AbortSignal): SourceListing & { followedLinks?: () => number } => {
    if (origin.kind === 's3') return listS3(origin, { signal, etags });
    if (origin.kind === 'sftp') return listSftp(origin, { hostKey: hostKey ?? '', signal });
    return listRemote(remoteCall(signal));
  };

  return {
    version: `rclone ${binary.version}`,
    list({ signal }) {
      const listing = openListing(signal);
      return observed(listing, ({ files, largest, odd }) => {
        listed.files = files;
        listed.largest = largest;
        listed.byName = odd || (listing.followedLinks?.() ?? 0) > 0;
      });
    },
    async look(paths, { signal }): Promise<Map<string, SourceFile>> {
      if (paths.length === 0) return new Map();
      if (origin.kind === 's3') return await lookS3(origin, paths, { signal, total: listed.files, etags });
      if (origin.kind === 'sftp') return await lookSftp(origin, paths, { hostKey: hostKey ?? '', signal });
      return await lookRemote(remoteCall(signal), paths, { total: listed.files });
    },
    read({ signal }) {
      if (origin.kind === 's3') return paced(readS3(origin, { signal }), options.bandwidth, signal);
      const filesAtOnce = definition.pace.transfers ?? READ_AT_ONCE;
      return rcloneReader({
        ...{ binary, definition, hostKey, folder: workFolder, signal, bandwidth: options.bandwidth },
        filesAtOnce,
        flags: definition.pace.flags(filesAtOnce),
      });
    },
    copy: ({ paths, targetKey, signal, bytesTotal }) =>
      startCopy({
        binary,
        source: sourceRemote('SRC', etags.areMd5 ? definition : withoutEtags(definition), { hostKey }),
        ...destinationOf(options, targetKey),
        sides: { SRC: definition.side, DST: storageSide },
        // rclone's own walk follows no links, and not every server tells it control characters in a name as they are.
        paths: paths === 'all' && listed.byName ? async () => await pathsOf(openListing(signal)) : paths,
        ...(bytesTotal === undefined ? {} : { bytesTotal }),
        flags: copyFlags(options, listed.largest),
        allFlags: allFlags(listed.files, options.memoryMb),
        folder: workFolder,
        signal,
        statsSeconds: options.statsSeconds,
        bandwidth: options.bandwidth,
      }),
  };
}

/** This option of rclone's makes it take no ETag of the remote for an MD5; it is sent along with uploads only, and a source has none. */
function withoutEtags(definition: RemoteDefinition): RemoteDefinition {
  return { ...definition, options: { ...definition.options, server_side_encryption: 'aws:kms' } };
}

/** The very call that `copy('all')` makes, for measurements that compare a run with rclone alone. */
export function copyAllCommand(
  options: Pick<
    RcloneEngineOptions,
    'source' | 'hostKey' | 'destination' | 'cipher' | 'transfers' | 'memoryMb' | 'statsSeconds' | 'bandwidth'
  >,
  targetKey: string,
): RcloneCommand {
  const source = sourceRemote('SRC', options.source, { hostKey: options.hostKey });
  const { destination, targetPath } = destinationOf(options, targetKey);
  const args = copyArguments({
    source,
    destination,
    targetPath,
    flags: copyFlags(options, 0),
    selection: allFlags(null),
  });
  return transferCommand({ ...options, args, remotes: [source, destination] }, { user: 'e3', password: randomUUID() });
}

/** Where a claim's files go: a folder of the bucket, or an encrypted remote whose root that folder is. */
function destinationOf(
  { destination, cipher }: Pick<RcloneEngineOptions, 'destination' | 'cipher'>,
  targetKey: string,
): { destination: Remote; targetPath: string } {
  const bucket = bucketRemote('DST', destination);
  const folder = pathOfKey(targetKey);
  if (!cipher) return { destination: bucket, targetPath: folder };
  const sealed = cryptRemote('DSTCRYPT', cipher.passwords);
  return {
    destination: { ...sealed.in(bucket, folder), env: { ...bucket.env, ...sealed.env } },
    targetPath: '',
  };
}

/** Listed in one piece by rclone where all of it is copied: the fastest way. Larger sources folder by folder. */
function allFlags(files: number | null, memoryMb = MEMORY_MB): string[] {
  return files !== null && files > filesInOnePiece(memoryMb) ? [] : ['--fast-list'];
}

function copyFlags(
  {
    source,
    cipher,
    transfers,
    memoryMb = MEMORY_MB,
  }: Pick<RcloneEngineOptions, 'source' | 'cipher' | 'transfers' | 'memoryMb'>,
  largest: number,
): string[] {
  const files = Math.min(transfers, source.pace.transfers ?? Infinity);
  return [
    ...['--no-check-dest', '--buffer-size', '0', '--max-backlog', '100000', '--s3-no-head'],
    // In plain text, whatever is encrypted. Of other sources it would be owners and descriptions, as large as an object may not have.
    ...(source.backend === 's3' && !cipher ? ['--metadata'] : []),
    ...memoryFlags(memoryMb, largest),
    // The source's own word on streams comes last, and counts.
    ...['--transfers', String(files), ...source.pace.flags(files)],
  ];
}

async function pathsOf(listing: SourceListing): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path } of listing.files) paths.push(path);
  return paths;
}

/** Names that rclone may read otherwise when it lists them itself. */
const ODD_NAME = /[\u2400-\u2421‛\ufffd]/;

interface Observed {
  readonly files: number;
  /** Bytes of the largest. */
  readonly largest: number;
  readonly odd: boolean;
}

function observed(listing: SourceListing, tell: (seen: Observed) => void): SourceListing {
  async function* files(): AsyncGenerator<SourceFile> {
    let count = 0;
    let largest = 0;
    let odd = false;
    for await (const file of listing.files) {
      count += 1;
      largest = Math.max(largest, file.size);
      odd ||= ODD_NAME.test(file.path);
      yield file;
    }
    tell({ files: count, largest, odd });
  }
  return { files: files(), outcome: listing.outcome };
}
