import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskPool } from '../backup/task-pool.ts';
import type { JobCipher } from '../crypt/job-cipher.ts';
import { callError, writeFileList, type RcloneBinary } from '../engines/rclone/process.ts';
import { RcloneDaemon } from '../engines/rclone/daemon.ts';
import { localSide, storageSide, type Side, type Sides } from '../engines/rclone/error-classes.ts';
import { MEMORY_MB, memoryFlags } from '../engines/rclone/memory.ts';
import { bucketRemote, cryptRemote, sourceRemote, type CryptRemote, type Remote } from '../engines/rclone/remotes.ts';
import { startTransfer } from '../engines/rclone/transfer.ts';
import { BackupError } from '../errors/backup-error.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import { pathOfKey, rcloneNameOfPath } from '../layout/encoding.ts';
import { splitFilesKey } from '../layout/keys.ts';
import type { Pace, RemoteDefinition } from '../sources/registry.ts';
import type { BucketAccess } from '../storage/port.ts';
import { GROUPS_AT_ONCE } from './port.ts';
import type { BulkCopier, BulkCopy, ExistingFiles, SingleCopies, SingleCopy } from './port.ts';
import { Batches, inBatches, Watch } from './single-copies.ts';

/** A folder of this machine, a place in a bucket, or the source of a job. */
export type BulkDestination =
  | { readonly folder: string }
  | { readonly access: BucketAccess; readonly prefix: string }
  | { readonly source: RemoteDefinition; readonly hostKey: string | null };

export interface RcloneBulkOptions {
  readonly binary: RcloneBinary;
  /** The bucket that holds the job's prefix. */
  readonly from: BucketAccess;
  /** Its files are encrypted. Null or absent: they lie there as they are. */
  readonly cipher?: JobCipher | null;
  /** Files are read from their beginning to their end, in one piece. */
  readonly inOnePiece?: boolean;
  readonly to: BulkDestination;
  /** Private folder for file lists. */
  readonly workFolder: string;
  readonly transfers: number;
  /** Megabytes that all rclones of the restore together may use, about. Default 512. */
  readonly memoryMb?: number;
  /** Bytes per second, 0 = unlimited. */
  readonly bandwidth: number;
}

const BATCHES_AT_ONCE = 4;
const FETCHED_UNSEEN_BYTES = 32 * 1024 ** 2;

/** Copies many objects with one call of rclone; single ones of all kinds with one rclone that stays until `close`. */
export function rcloneBulk(options: RcloneBulkOptions): BulkCopier {
  return new RcloneBulk(options);
}

class RcloneBulk implements BulkCopier {
  readonly #options: RcloneBulkOptions;
  readonly #source: Remote;
  readonly #crypt: CryptRemote | null;
  readonly #target: Target;
  readonly #sides: Sides;
  #daemon: RcloneDaemon | null = null;

  constructor(options: RcloneBulkOptions) {
    this.#options = options;
    this.#source = bucketRemote('SRC', options.from);
    this.#crypt = options.cipher ? cryptRemote('SRCCRYPT', options.cipher.passwords) : null;
    this.#target = targetOf(options, this.#crypt === null ? this.#source : null);
    this.#sides = { SRC: storageSide, DST: this.#target.side };
  }

  async copy(request: BulkCopy): Promise<ReadonlyMap<string, ErrorCode>> {
    const { workFolder } = this.#options;
    const list = await writeFileList(workFolder, request.names);
    try {
      if (list.count === 0) return new Map();
      // rclone is told paths, and makes keys of them by the encoding of the format.
      const { remote, path } = this.#placeOf(request.fromKey, request.bytes / request.count);
      const from = remote.at(path);
      const places = [from, this.#target.folder(request.toPath)];
      return await this.#call(['copy', ...places, '--files-from-raw', list.file], request);
    } finally {
      await unlink(list.file).catch(() => undefined);
    }
  }

  async copySome(request: SingleCopies): Promise<ReadonlyMap<string, ErrorCode>> {
    const daemon = (this.#daemon ??= this.#startDaemon(request));
    const batches = new Batches(daemon, (item) => this.#inputOf(item), this.#sides);
    const watch = new Watch(daemon, batches.done, request.onProgress);
    const pool = new TaskPool(BATCHES_AT_ONCE);
    const concurrency = Math.ceil(this.#transfers / BATCHES_AT_ONCE);
    try {
      for await (const batch of inBatches(request.items)) {
        await pool.start(async () => await batches.copy(batch, concurrency));
      }
      await pool.drain();
    } catch (error) {
      throw watch.stalled ?? error;
    } finally {
      watch.stop();
      await pool.drain().catch(() => undefined);
    }
    request.onProgress(batches.done);
    return batches.failed;
  }

  async close(): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = null;
    await daemon?.stop();
  }

  get #transfers(): number {
    const { transfers } = this.#options;
    return Math.min(transfers, this.#target.place.pace?.transfers ?? Infinity);
  }

  #daemonFlags(request: SingleCopies): string[] {
    const { bandwidth } = this.#options;
    return [
      ...this.#transferFlags(request, 1),
      ...(bandwidth > 0 ? ['--bwlimit', `${Math.max(1, Math.round(bandwidth))}B`] : []),
    ];
  }

  /** @param sharers rclones that run at once */
  #transferFlags({ existing, largest }: Pick<BulkCopy, 'existing' | 'largest'>, sharers: number): string[] {
    const { memoryMb = MEMORY_MB } = this.#options;
    const encrypted = this.#crypt !== null;
    const memory = { megabytes: memoryMb / sharers, largest };
    const flags = restoreFlags({ transfers: this.#transfers, to: this.#target.place, existing, encrypted, memory });
    return this.#options.inOnePiece === true ? [...flags, '--multi-thread-streams', '0'] : flags;
  }

  #startDaemon(request: SingleCopies): RcloneDaemon {
    const { binary, workFolder: folder } = this.#options;
    const { signal } = request;
    return new RcloneDaemon({ binary, flags: this.#daemonFlags(request), remotes: this.#remotes, folder, signal });
  }

  get #remotes(): readonly Remote[] {
    const { remote } = this.#target;
    const crypt = this.#crypt === null ? [] : [{ ...this.#source, env: this.#crypt.env }];
    return remote === null || remote === this.#source ? [this.#source, ...crypt] : [this.#source, ...crypt, remote];
  }

  /**
   * Small objects are fetched without asking for each what it is first, which would double the requests. Large ones are asked, so that
   * they come in several streams; and who copies within the storage has to know the size.
   */
  #sourceFor(bytes: number): Pick<Remote, 'at'> {
    if (this.#target.remote === this.#source || bytes > FETCHED_UNSEEN_BYTES) return this.#source;
    return { at: (path) => this.#source.at(path).replace(/^SRC:/, 'SRC,no_head_object=true:') };
  }

  /** Where a key lies for rclone: encrypted ones below the crypt remote of their claim's folder. */
  #placeOf(key: string, bytes: number): { readonly remote: Pick<Remote, 'at'>; readonly path: string } {
    const bucket = this.#sourceFor(bytes);
    const { cipher } = this.#options;
    if (!cipher || this.#crypt === null) return { remote: bucket, path: pathOfKey(key) };
    const place = splitFilesKey(key);
    const path = place === null || place.name === '' ? '' : cipher.pathOfKey(place.name);
    if (place === null || path === null) throw new BackupError('ERR_INTERNAL', 'The key of a file is not encrypted.');
    return { remote: this.#crypt.in(bucket, pathOfKey(place.folder)), path };
  }

  #inputOf({ fromKey, toPath, size }: SingleCopy): Record<string, string> {
    const { remote, path } = this.#placeOf(fromKey, size);
    return {
      _path: 'operations/copyfile',
      srcFs: remote.at(''),
      srcRemote: rcloneNameOfPath(path).toString('utf8'),
      dstFs: this.#target.root,
      dstRemote: this.#target.prefix + rcloneNameOfPath(toPath).toString('utf8'),
    };
  }

  async #call(args: readonly string[], request: BulkCopy): Promise<ReadonlyMap<string, ErrorCode>> {
    const { binary, workFolder, bandwidth } = this.#options;
    const { signal, onProgress } = request;
    const process = startTransfer({
      binary,
      args: [...args, ...this.#transferFlags(request, GROUPS_AT_ONCE)],
      remotes: this.#remotes,
      sides: this.#sides,
      folder: workFolder,
      signal,
      statsSeconds: 1,
      bandwidth,
    });
    for await (const event of process.events) {
      if (event.type === 'progress') onProgress({ bytes: event.progress.bytes, files: event.progress.files });
    }
    const outcome = await process.done;
    signal.throwIfAborted();
    if (outcome.fatal !== null) throw callError(outcome.fatal);
    return new Map([...outcome.failed].map(([name, { code }]) => [name, code]));
  }
}

interface Target {
  /** Null: this machine. */
  readonly remote: Remote | null;
  readonly side: Side;
  readonly place: RestorePlace;
  /** Where single files go: the top of the remote, and what comes before their paths there. */
  readonly root: string;
  readonly prefix: string;
  folder(path: string): string;
}

/** @param source may stand for the target too, where both are one account; null: never */
function targetOf({ from, to }: RcloneBulkOptions, source: Remote | null): Target {
  if ('folder' in to) {
    const { folder } = to;
    return {
      remote: null,
      side: localSide,
      place: localPlace,
      root: folder,
      prefix: '',
      folder: (path) => join(folder, path),
    };
  }
  if ('source' in to) {
    const remote = sourceRemote('DST', to.source, { hostKey: to.hostKey });
    const { side, pace, backend } = to.source;
    const place: RestorePlace = { kind: backend === 's3' ? 'bucket' : 'other', pace };
    return { remote, side, place, root: remote.at(''), prefix: '', folder: (path) => remote.at(path) };
  }
  // One remote for both where the account is the same: then the storage copies by itself, and nothing travels.
  const remote = (isSameAccount(from, to.access) ? source : null) ?? bucketRemote('DST', to.access);
  const { prefix } = to;
  return {
    remote,
    side: storageSide,
    place: bucketPlace,
    root: remote.at(''),
    prefix,
    folder: (path) => remote.at(`${prefix}${path}`),
  };
}

/** What kind of place a restore goes to; `pace` is null where there is none to keep. */
export interface RestorePlace {
  readonly kind: 'local' | 'bucket' | 'other';
  readonly pace: Pace | null;
}

export const localPlace: RestorePlace = { kind: 'local', pace: null };
const bucketPlace: RestorePlace = { kind: 'bucket', pace: null };

/** What every call of a restore has: also for measurements that compare it with rclone alone. */
export function restoreFlags(options: {
  transfers: number;
  to: RestorePlace;
  existing: ExistingFiles;
  encrypted?: boolean;
  /** Of this rclone; absent: as much as it likes. */
  memory?: { readonly megabytes: number; readonly largest: number };
}): string[] {
  const { transfers, to, existing, encrypted = false, memory } = options;
  return [
    // What was there when it was looked at is not in the list of what to copy, so there is nothing to check.
    ...(existing === 'keep' ? ['--ignore-existing'] : ['--no-check-dest']),
    // A name for the time of the copying costs a request each. Where nothing is replaced, a file that is cut off harms nobody else's.
    ...(existing === 'none' && to.kind === 'local' ? ['--inplace'] : []),
    ...['--transfers', String(transfers), '--buffer-size', '0'],
    // Only uploads to S3 are held in memory.
    ...(to.kind === 'bucket' && memory ? memoryFlags(memory.megabytes, memory.largest) : []),
    ...(to.pace?.flags(transfers) ?? ['--checkers', '64']),
    // Metadata goes along between buckets. Elsewhere only the time does: owners and modes of an object are its uploader's word. An encrypted
    // object has none, and its type is that of encrypted bytes.
    ...(to.kind === 'bucket' && !encrypted ? ['--metadata'] : []),
    ...(to.kind === 'bucket' ? ['--s3-no-head'] : []),
  ];
}

function isSameAccount(a: BucketAccess, b: BucketAccess): boolean {
  return (
    a.endpoint === b.endpoint &&
    a.accessKey === b.accessKey &&
    a.region === b.region &&
    a.provider === b.provider &&
    a.bucket === b.bucket
  );
}
