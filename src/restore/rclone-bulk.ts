import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { once } from 'node:events';
import { callError, type RcloneBinary } from '../engines/rclone/process.ts';
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

/** Copies many objects with one call of rclone. Names with a line break fit into no list and are copied one by one. */
export function rcloneBulk(
  options: RcloneBulkOptions,
): BulkCopier & { copyOne(fromKey: string, toPath: string, signal: AbortSignal): Promise<ErrorCode | null> } {
  const source = bucketRemote('DST', options.from);
  // One remote for both where the account is the same: then the storage copies by itself, and nothing travels.
  const target =
    'folder' in options.to
      ? null
      : isSameAccount(options.from, options.to.access)
        ? bucketRemote('DST', options.to.access)
        : bucketRemote('TGT', options.to.access);
  const remotes: readonly Remote[] = target === null || target.name === source.name ? [source] : [source, target];
  const place = (path: string): string =>
    'folder' in options.to ? join(options.to.folder, path) : (target as Remote).at(`${options.to.prefix}${path}`);
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
      cwd: options.workFolder,
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
    const failed = await call(['copyto', source.at(fromPath), place(toPath)], signal);
    return [...failed.values()][0] ?? null;
  }

  return {
    copyOne: async (fromKey, toPath, signal) => await copyPath(pathOfKey(fromKey), toPath, signal),
    async copy(request) {
      const list = await writeList(options.workFolder, request);
      const failed = new Map<string, ErrorCode>();
      try {
        if (list.count > 0) {
          const args = [
            'copy',
            source.at(pathOfKey(request.fromKey)),
            place(request.toPath),
            '--files-from-raw',
            list.file,
          ];
          for (const [name, code] of await call(args, request.signal, request.onProgress)) failed.set(name, code);
        }
        for (const name of list.odd) {
          const code = await copyPath(
            `${pathOfKey(request.fromKey)}/${name}`,
            request.toPath === '' ? name : `${request.toPath}/${name}`,
            request.signal,
          );
          if (code !== null) failed.set(name, code);
        }
      } finally {
        await unlink(list.file).catch(() => undefined);
      }
      return failed;
    },
  };
}

/** What every call of a restore has: also for measurements that compare it with rclone alone. */
export function restoreFlags({ transfers, toBucket }: { transfers: number; toBucket: boolean }): string[] {
  return [
    ...[
      '--no-check-dest',
      '--transfers',
      String(transfers),
      '--checkers',
      '64',
      '--buffer-size',
      '0',
      '--low-level-retries',
      '10',
    ],
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

async function writeList(folder: string, request: BulkCopy): Promise<{ file: string; count: number; odd: string[] }> {
  const file = join(folder, `restore-${randomUUID()}`);
  const stream = createWriteStream(file, { mode: 0o600 });
  const odd: string[] = [];
  let count = 0;
  for await (const name of request.names) {
    if (/[\r\n]/.test(name)) {
      odd.push(name);
      continue;
    }
    count += 1;
    if (!stream.write(`${name}\n`)) await once(stream, 'drain');
  }
  stream.end();
  await once(stream, 'close');
  return { file, count, odd };
}
