import { catalogue, type ErrorCode } from '../errors/catalogue.ts';
import type { SourceFile } from '../engines/port.ts';
import { judgeCopy, type CopyEvidence, type CopyVerdict, type ListedFile } from '../layout/compare.ts';
import type { Entry } from '../layout/types.ts';
import { PathCursor, type Arrival } from './arrivals.ts';
import type { BackupContext } from './context.ts';
import { keyInClaim, keyTooLong, type CopyResult } from './copy.ts';
import type { FileProblem, FileProblemCode } from './ledger.ts';
import type { BackupPlan, PlanItem } from './plan.ts';
import { listSource } from './source-listing.ts';
import type { SpillSpace } from './spill.ts';

/** From this many on, and if it is more than half of the source, another whole listing is cheaper than looking at each file. */
const LIST_AGAIN_FROM = 1_000;

/** What the source says of files now; asked in the order of paths. */
export interface SecondLook {
  at(path: string): Promise<ListedFile | null>;
  close(): Promise<void>;
}

/** Looks again at the files that were copied: singly when few, otherwise by one listing. */
export async function lookAgain(
  context: BackupContext,
  options: { plan: BackupPlan; copied: CopyResult; listedFiles: number; signal: AbortSignal; space: SpillSpace },
): Promise<SecondLook> {
  const { plan, copied, listedFiles, signal, space } = options;
  if (plan.copyFiles === 0) return seenFiles(new Map());
  if (copied.paths === 'all' || (plan.copyFiles >= LIST_AGAIN_FROM && plan.copyFiles * 2 > listedFiles)) {
    const { files } = await listSource(context.engine, { signal, space });
    const cursor = new PathCursor(files);
    return { at: async (path) => (await cursor.at(path))[0] ?? null, close: async () => await cursor.close() };
  }
  const paths: string[] = [];
  for await (const item of plan.items) {
    if (item.kind === 'copy' && !keyTooLong(context, item.file.path)) paths.push(item.file.path);
  }
  return seenFiles(await context.engine.look(paths, { signal }));
}

function seenFiles(seen: ReadonlyMap<string, SourceFile>): SecondLook {
  return { at: async (path) => seen.get(path) ?? null, close: async () => undefined };
}

/** Everything that the entries of the point are made from. */
export interface Evidence {
  readonly plan: BackupPlan;
  readonly arrivals: AsyncIterable<Arrival>;
  readonly again: SecondLook;
  readonly failed: ReadonlyMap<string, ErrorCode>;
}

/** Counted while the entries are written. */
export class PointTally {
  files = 0;
  bytes = 0;
  stored = 0;
  carried = 0;
  failed = 0;
  filesCopied = 0;
  bytesCopied = 0;
  /** The first ten thousand, for the report of the run. */
  readonly problems: FileProblem[] = [];
  problemCount = 0;

  add(entry: Entry): void {
    this.files += 1;
    this[entry.state] += 1;
    if (entry.state !== 'failed') this.bytes += entry.size;
  }

  problem(path: string, code: FileProblemCode, outcome: FileProblem['outcome']): void {
    this.problemCount += 1;
    if (this.problems.length < 10_000) this.problems.push({ path, code, outcome });
  }

  /** The code of the error catalogue that most problems have; null when none has one. */
  mainErrorCode(): ErrorCode | null {
    const counts = new Map<ErrorCode, number>();
    for (const { code } of this.problems) if (isErrorCode(code)) counts.set(code, (counts.get(code) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
  }
}

function isErrorCode(code: FileProblemCode): code is ErrorCode {
  return code in catalogue;
}

const VERDICT_CODES = {
  changed_meanwhile: 'FILE_CHANGED_MEANWHILE',
  vanished: 'FILE_VANISHED',
  not_arrived: 'FILE_NOT_ARRIVED',
} as const satisfies Record<Exclude<CopyVerdict, 'stored'>, FileProblemCode>;

/**
 * The entries of the point, in order. A copied file becomes `stored` only when it stood still and arrived; otherwise its last stored
 * version is carried, and where there is none the entry is `failed`.
 */
export async function* finalEntries(
  context: BackupContext,
  evidence: Evidence,
  tally: PointTally,
): AsyncGenerator<Entry> {
  const arrivals = new PathCursor(evidence.arrivals);
  try {
    for await (const item of evidence.plan.items) {
      if (item.kind === 'deleted') continue;
      // Most entries need no waiting, and there may be millions of them.
      const entry =
        item.kind === 'copy'
          ? await copiedEntry(context, item, { ...evidence, arrivals }, tally)
          : keptEntry(item, tally);
      tally.add(entry);
      yield entry;
    }
  } finally {
    await arrivals.close();
    await evidence.again.close();
  }
}

function keptEntry(item: Exclude<PlanItem, { kind: 'copy' | 'deleted' }>, tally: PointTally): Entry {
  if (item.kind !== 'carried') return item.entry;
  return standIn(item.base, { file: null, code: 'FOLDER_UNREADABLE' }, tally);
}

async function copiedEntry(
  context: BackupContext,
  { file, base }: Extract<PlanItem, { kind: 'copy' }>,
  evidence: Omit<Evidence, 'arrivals'> & { arrivals: PathCursor<Arrival> },
  tally: PointTally,
): Promise<Entry> {
  const arrived = (await evidence.arrivals.at(file.path))[0] ?? null;
  const again = await evidence.again.at(file.path);
  const code = keyTooLong(context, file.path)
    ? 'ERR_KEY_TOO_LONG'
    : problemOf({ file, again, arrived }, evidence.failed.get(file.path));
  if (code !== null || arrived === null) return standIn(base, { file, code: code ?? 'FILE_NOT_ARRIVED' }, tally);
  tally.filesCopied += 1;
  tally.bytesCopied += arrived.size;
  const { path, mtime } = file;
  const place = arrived.place ?? { key: keyInClaim(context, path) };
  // What lies in the bucket tells nothing of an encrypted file: its source does, as long as it says the same before and after.
  const told = context.encryption && file.hash === again?.hash ? file.hash : null;
  return { path, size: arrived.size, mtime, hash: arrived.hash ?? told, ...place, state: 'stored' };
}

function problemOf(evidence: CopyEvidence, code: ErrorCode | undefined): FileProblemCode | null {
  // The engine says best why a file failed, unless the file itself was not the same any more.
  const verdict = judgeCopy(evidence);
  if (verdict === 'vanished' || verdict === 'changed_meanwhile') return VERDICT_CODES[verdict];
  if (code !== undefined) return code;
  return verdict === 'stored' ? null : VERDICT_CODES[verdict];
}

/** The last stored version of a file, or, where there is none, the record that it failed. */
function standIn(
  base: Entry | null,
  problem: { readonly file: ListedFile | null; readonly code: FileProblemCode },
  tally: PointTally,
): Entry {
  const known = base ?? failedEntry(problem.file as ListedFile);
  if (known.state === 'failed') {
    const entry = problem.file === null ? known : failedEntry(problem.file);
    tally.problem(entry.path, problem.code, 'failed');
    return entry;
  }
  tally.problem(known.path, problem.code, 'carried');
  return { ...known, state: 'carried' };
}

function failedEntry(file: ListedFile): Entry {
  return { path: file.path, size: Math.max(file.size, 0), mtime: file.mtime, hash: null, key: '', state: 'failed' };
}
