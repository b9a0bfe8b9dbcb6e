import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { callError, writeFileList, type RcloneBinary } from '../engines/rclone/process.ts';
import type { Sides } from '../engines/rclone/error-classes.ts';
import { bucketRemote, type Remote } from '../engines/rclone/remotes.ts';
import { startTransfer } from '../engines/rclone/transfer.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import { pathOfKey } from '../layout/encoding.ts';
import type { BucketAccess } from '../storage/port.ts';
import type { BulkCopier, BulkCopy } from './port.ts';

export interface RcloneBulkOptions {
  readonly binary: RcloneBinary;
  /** The bucket that holds the job's prefix. */
  readonly from: BucketAccess;
  /** A folder of this machine, or a place in a bucket. */
  readonly to: { readonly folder: string } | { readonly access: BucketAccess; readonly prefix: string };
  /** Private folder for file lists. */
  readonly workFolder: string;
  readonly transfers: number;
  /** Bytes per second, 0 = unlimited. */
  readonly bandwidth: number;
}

/** Copies many objects with one call of rclone. */
export function rcloneBulk(
  options: RcloneBulkOptions,
): BulkCopier & { copyOne(fromKey: string, toPath: string, signal: AbortSignal): Promise<ErrorCode | null> } {
  const source = bucketRemote('SRC', options.from);
  // One remote for both where the account is the same: then the storage copies by itself, and nothing travels.
  const target =
    'folder' in options.to
      ? null
      : isSameAccount(options.from, options.to.access)
        ? source
        : bucketRemote('DST', options.to.access);
  const remotes: readonly Remote[] = target === null || target === source ? [source] : [source, target];
  const sides: Sides = { SRC: 'storage', DST: target === null ? 'local' : 'storage' };
  const folder = (path: string): string =>
    'folder' in options.to ? join(options.to.folder, path) : (target as Remote).at(`${options.to.prefix}${path}`);
  const file = (path: string): string =>
    'folder' in options.to ? join(options.to.folder, path) : (target as Remote).file(`${options.to.prefix}${path}`);
  const flags = restoreFlags({ transfers: options.transfers, toBucket: target !== null });

  async function call(
    args: readonly string[],
    signal: AbortSignal,
    onProgress?: BulkCopy['onProgress'],
  ): Promise<Map<string, ErrorCode>> {
    const process = startTransfer({
      binary: options.binary,
      args: [...args, ...flags],
      remotes,
      sides,
      folder: options.workFolder,
      signal,
      statsSeconds: 1,
      bandwidth: options.bandwidth,
    });
    for await (const event of process.events) {
      if (event.type === 'progress') onProgress?.({ bytes: event.progress.bytes, files: event.progress.files });
    }
    const outcome = await process.done;
    signal.throwIfAborted();
    if (outcome.fatal !== null) throw callError(outcome.fatal);
    return new Map([...outcome.failed].map(([name, { code }]) => [name, code]));
  }

  // rclone is told paths, and makes keys of them by the encoding of the format.
  async function copyPath(fromPath: string, toPath: string, signal: AbortSignal): Promise<ErrorCode | null> {
    const failed = await call(['copyto', source.file(fromPath), file(toPath)], signal);
    return [...failed.values()][0] ?? null;
  }

  return {
    copyOne: async (fromKey, toPath, signal) => await copyPath(pathOfKey(fromKey), toPath, signal),
    async copy(request) {
      const list = await writeFileList(options.workFolder, request.names);
      try {
        if (list.count === 0) return new Map();
        const places = [source.at(pathOfKey(request.fromKey)), folder(request.toPath)];
        return await call(['copy', ...places, '--files-from-raw', list.file], request.signal, request.onProgress);
      } finally {
        await unlink(list.file).catch(() => undefined);
      }
    },
  };
}

/** What every call of a restore has: also for measurements that compare it with rclone alone. */
export function restoreFlags({ transfers, toBucket }: { transfers: number; toBucket: boolean }): string[] {
  return [
    ...['--no-check-dest', '--transfers', String(transfers), '--checkers', '64', '--buffer-size', '0'],
    // Metadata goes along between buckets. Onto a disk only the time does: owners and modes of an object are its uploader's word.
    ...(!toBucket ? [] : ['--metadata', '--s3-no-head']),
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
