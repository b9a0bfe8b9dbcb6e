import { unlink } from 'node:fs/promises';
import type { RemoteDefinition } from '../../sources/registry.ts';
import { sourceRemote } from './remotes.ts';
import { rcloneCommand, startRclone, writeFileList, type RcloneBinary } from './process.ts';

/** A call of rclone that reads a source of the kind `remote`. */
export interface RemoteCall {
  readonly binary: RcloneBinary;
  readonly definition: RemoteDefinition;
  readonly hostKey?: string | null;
  /** Private folder of the run. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** Files and folders that are believed, at most. */
  readonly mostEntries?: number;
}

/** Calls that look for the files which are not empty; if more were needed, all that are left in doubt count as such. */
const MOST_CALLS = 200;
const FILES_A_CALL = 20_000;

/**
 * Which of these files, which their server calls empty, hold something after all. A WebDAV server need not tell a size, rclone takes that
 * for zero, and copies nothing of such a file without a word. So one byte of each is asked for: mostly one call for all of them.
 * A file that cannot be read counts as doubtful too.
 */
export async function notEmpty(call: RemoteCall, paths: readonly string[]): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const parts: (readonly string[])[] = [];
  for (let start = 0; start < paths.length; start += FILES_A_CALL) parts.push(paths.slice(start, start + FILES_A_CALL));
  let left = MOST_CALLS + parts.length;
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    if (left > 0 && (await areEmpty(call, part))) continue;
    left -= 1;
    if (part.length === 1 || left <= 0) for (const path of part) found.add(path);
    else parts.push(part.slice(0, part.length >> 1), part.slice(part.length >> 1));
  }
  return found;
}

async function areEmpty(call: RemoteCall, paths: readonly string[]): Promise<boolean> {
  const { binary, definition, hostKey = null, folder, signal } = call;
  const remote = sourceRemote('SRC', definition, { hostKey });
  const list = await writeFileList(folder, paths);
  try {
    const args = ['cat', remote.at(''), '--files-from-raw', list.file, '--no-traverse', '--count', '1'];
    const child = startRclone(binary, rcloneCommand(args, [remote]), { folder, signal });
    child.stderr.resume();
    let bytes = 0;
    for await (const piece of child.stdout as AsyncIterable<Buffer>) bytes += piece.length;
    const { exitCode } = await child.ended;
    signal.throwIfAborted();
    return bytes === 0 && exitCode === 0;
  } finally {
    await unlink(list.file).catch(() => undefined);
  }
}
