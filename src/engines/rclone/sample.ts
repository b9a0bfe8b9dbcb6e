import type { RemoteDefinition } from '../../sources/registry.ts';
import { isUtf8 } from 'node:buffer';
import { nativeNameOfPath, pathOfRcloneName } from '../../layout/encoding.ts';
import { FailureLog } from './failures.ts';
import { byteLinesOf, readLog } from './log.ts';
import { callError, rcloneCommand, startRclone, type RcloneBinary } from './process.ts';
import { sourceRemote } from './remotes.ts';

/** One attempt, short waits: somebody sits before the form. */
const IMPATIENT = ['--low-level-retries', '1', '--contimeout', '5s', '--timeout', '7s'];

/**
 * Some names that lie directly at a source's path; folders end in a slash. Reads one level and writes nothing. Done by the program that
 * copies, so that what works here works there.
 * @throws BackupError with the class of what went wrong; the signal's reason
 */
export async function sampleNames(request: LookRequest): Promise<string[]> {
  return (await topLevel(request, [])).names.map(pathOfRcloneName);
}

/**
 * Folders that lie directly at a source's path, by name, in the source's own spelling. Those whose names are no text, or hold control
 * characters, are left out: no path of a job can name them.
 * @throws as `sampleNames`
 */
export async function folderNames(request: LookRequest): Promise<{ names: string[]; truncated: boolean }> {
  const found = await topLevel(request, ['--dirs-only', '--dir-slash=false']);
  const native = found.names.map((name) => nativeNameOfPath(pathOfRcloneName(name)));
  const names = native.filter((name) => isUtf8(name)).map((name) => name.toString('utf8'));
  return {
    names: names.filter((name) => !/[\u0000-\u001f\u007f-\u009f\u2028\u2029/]/.test(name)).sort(byName.compare),
    truncated: found.truncated,
  };
}

const byName = new Intl.Collator('en', { numeric: true });

export interface LookRequest {
  readonly binary: RcloneBinary;
  readonly definition: RemoteDefinition;
  readonly hostKey: string | null;
  /** Private folder. */
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly limit: number;
}

async function topLevel(
  { binary, definition, hostKey, cwd, signal, limit }: LookRequest,
  flags: readonly string[],
): Promise<{ names: Buffer[]; truncated: boolean }> {
  const remote = sourceRemote('SRC', definition, { hostKey });
  const command = rcloneCommand(['lsf', remote.at(''), '--max-depth', '1', ...flags, ...IMPATIENT], [remote]);
  const child = startRclone(binary, command, { folder: cwd, signal });
  const failures = new FailureLog({ SRC: definition.side, DST: definition.side });
  const logged = (async () => {
    for await (const line of readLog(child.stderr)) failures.take(line);
  })();
  const names: Buffer[] = [];
  let truncated = false;
  for await (const line of byteLinesOf(child.stdout)) {
    if (names.length < limit) names.push(line);
    else if (!truncated) {
      truncated = true;
      child.kill();
    }
  }
  await logged;
  const end = await child.ended;
  signal.throwIfAborted();
  const failure = end.reason === 'stopped' ? null : failures.verdict(end, null);
  if (failure !== null)
    throw callError(failure.code === 'ERR_TRANSFER' ? { ...failure, code: 'ERR_SOURCE_LISTING' } : failure);
  return { names, truncated };
}
