import { randomUUID } from 'node:crypto';
import { writeFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorCode } from '../../errors/catalogue.ts';
import { pathOfKey } from '../../layout/encoding.ts';
import type { RemoteDefinition } from '../../sources/registry.ts';
import type { BucketAccess } from '../../storage/port.ts';
import type { BackupEngine, EngineEvent, EngineProcess, SourceFile, TransferOutcome } from '../port.ts';
import { EventQueue } from './event-queue.ts';
import { listRemote } from './listing.ts';
import type { RcloneBinary, RcloneCommand } from './process.ts';
import { bucketRemote, sourceRemote, type Remote } from './remotes.ts';
import { startTransfer, transferCommand } from './transfer.ts';

export interface RcloneEngineOptions {
  readonly binary: RcloneBinary;
  readonly source: RemoteDefinition;
  readonly hostKey: string | null;
  readonly destination: BucketAccess;
  /** Private folder of the claim: file lists lie here. */
  readonly workFolder: string;
  /** Files at once. */
  readonly transfers: number;
  readonly statsSeconds: number;
  /** Bytes per second, 0 = unlimited. */
  readonly bandwidth: number;
}

/** Names of this many files go by `--files-from-raw` and are looked up singly; more are found by listing. */
const LOOK_UP_SINGLY = 2_000;
/** Folders of this many files at most are listed instead of the whole source. */
const LOOK_BY_FOLDER = 5_000;

/** Backups with rclone: the pinned version, one process a call. */
export function rcloneEngine(options: RcloneEngineOptions): BackupEngine {
  const source = sourceRemote('SRC', options.source, { hostKey: options.hostKey });
  const destination = bucketRemote('DST', options.destination);
  const listFlags =
    options.source.backend === 's3'
      ? ['--fast-list', '--hash', '--hash-type', 'md5', '--use-server-modtime']
      : ['--checkers', '16'];
  const missing =
    options.source.backend === 's3' ? ('ERR_S3_BUCKET_NOT_FOUND' as const) : ('ERR_SOURCE_NOT_FOUND' as const);
  const listing = { binary: options.binary, remote: source, cwd: options.workFolder, missing };
  const list: BackupEngine['list'] = ({ signal }) => listRemote({ ...listing, signal, flags: listFlags });

  async function look(paths: readonly string[], { signal }: { signal: AbortSignal }): Promise<Map<string, SourceFile>> {
    const wanted = new Set(paths);
    const found = new Map<string, SourceFile>();
    if (wanted.size === 0) return found;
    // By folder: a listing tells size, time and hash in the same form as the first one did; asking for single objects would not.
    const byFolder = wanted.size <= LOOK_BY_FOLDER && paths.every(fitsLine);
    const file = byFolder ? fileList(options.workFolder, paths) : null;
    try {
      const flags =
        file === null
          ? listFlags
          : [...listFlags.filter((flag) => flag !== '--fast-list'), '--checkers', '32', '--files-from-raw', file];
      for await (const entry of listRemote({ ...listing, signal, flags }).files) {
        if (wanted.has(entry.path)) found.set(entry.path, entry);
      }
    } finally {
      if (file !== null) unlinkSync(file);
    }
    return found;
  }

  return {
    version: `rclone ${options.binary.version}`,
    list,
    look,
    copy: ({ paths, targetKey, signal }) =>
      copyFiles(options, { source, destination }, paths, pathOfKey(targetKey), signal),
  };
}

function copyFiles(
  options: RcloneEngineOptions,
  { source, destination }: { source: Remote; destination: Remote },
  paths: readonly string[] | 'all',
  targetKey: string,
  signal: AbortSignal,
): EngineProcess {
  const call = {
    binary: options.binary,
    remotes: [source, destination],
    cwd: options.workFolder,
    signal,
    statsSeconds: options.statsSeconds,
    bandwidth: options.bandwidth,
  };
  if (paths === 'all')
    return startTransfer({ ...call, args: copyAllArguments(options, source, destination, targetKey) });
  const flags = copyFlags(options);
  const plain = paths.filter(fitsLine);
  const odd = paths.filter((path) => !fitsLine(path));
  const calls: (() => EngineProcess)[] = [];
  if (plain.length > 0) {
    const list = fileList(options.workFolder, plain);
    const find = plain.length <= LOOK_UP_SINGLY ? ['--no-traverse'] : ['--fast-list'];
    calls.push(() =>
      startTransfer({
        ...call,
        args: ['copy', source.at(''), destination.at(targetKey), '--files-from-raw', list, ...find, ...flags],
      }),
    );
  }
  // A name with a line break fits into no list.
  for (const path of odd)
    calls.push(() =>
      startTransfer({ ...call, args: ['copyto', source.at(path), destination.at(`${targetKey}/${path}`), ...flags] }),
    );
  return inTurn(calls);
}

function copyAllArguments(
  options: Pick<RcloneEngineOptions, 'transfers'>,
  source: Remote,
  destination: Remote,
  targetKey: string,
): string[] {
  return ['copy', source.at(''), destination.at(targetKey), '--fast-list', ...copyFlags(options)];
}

/** The very call that `copy('all')` makes, for measurements that compare a run with rclone alone. */
export function copyAllCommand(
  options: Pick<RcloneEngineOptions, 'source' | 'hostKey' | 'destination' | 'transfers' | 'statsSeconds' | 'bandwidth'>,
  targetKey: string,
): RcloneCommand {
  const source = sourceRemote('SRC', options.source, { hostKey: options.hostKey });
  const destination = bucketRemote('DST', options.destination);
  const args = copyAllArguments(options, source, destination, targetKey);
  return transferCommand({ ...options, args, remotes: [source, destination] }, { user: 'e3', password: randomUUID() });
}

function copyFlags(options: Pick<RcloneEngineOptions, 'transfers'>): string[] {
  return [
    ...[
      '--no-check-dest',
      '--metadata',
      '--transfers',
      String(options.transfers),
      '--checkers',
      '64',
      '--buffer-size',
      '0',
    ],
    ...['--s3-no-head', '--s3-upload-concurrency', '4', '--max-backlog', '100000', '--low-level-retries', '10'],
  ];
}

/** Several calls as one process, one after the other. */
function inTurn(calls: readonly (() => EngineProcess)[]): EngineProcess {
  const events = new EventQueue<EngineEvent>();
  let current: EngineProcess | null = null;
  let stopped = false;
  const run = async (): Promise<TransferOutcome> => {
    const failed = new Map<string, { code: ErrorCode; message: string }>();
    let last: TransferOutcome = { failed, fatal: null, exitCode: 0, stopped: false };
    for (const start of calls) {
      if (stopped) break;
      current = start();
      for await (const event of current.events) events.push(event);
      last = await current.done;
      for (const [path, error] of last.failed) failed.set(path, error);
      if (last.fatal !== null || last.stopped) break;
    }
    events.end();
    return { ...last, failed, stopped: stopped || last.stopped };
  };
  const done = run();
  return {
    events,
    done,
    setBandwidth: async (bytesPerSecond) => await current?.setBandwidth(bytesPerSecond),
    async stop(options) {
      stopped = true;
      await current?.stop(options);
    },
  };
}

function fitsLine(path: string): boolean {
  return !/[\r\n]/.test(path);
}

function fileList(folder: string, paths: readonly string[]): string {
  const file = join(folder, `files-${randomUUID()}`);
  writeFileSync(file, `${paths.join('\n')}\n`, { mode: 0o600 });
  return file;
}
