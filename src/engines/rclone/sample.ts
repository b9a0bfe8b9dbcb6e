import type { RemoteDefinition } from '../../sources/registry.ts';
import { pathOfRcloneName } from '../../layout/encoding.ts';
import { FailureLog } from './failures.ts';
import { linesOf, readLog } from './log.ts';
import { callError, rcloneCommand, startRclone, type RcloneBinary } from './process.ts';
import { sourceRemote } from './remotes.ts';

/** One attempt, short waits: somebody sits before the form. */
const IMPATIENT = ['--low-level-retries', '1', '--contimeout', '5s', '--timeout', '7s'];

/**
 * Some names that lie directly at a source's path; folders end in a slash. Reads one level and writes nothing. Done by the program that
 * copies, so that what works here works there.
 * @throws BackupError with the class of what went wrong; the signal's reason
 */
export async function sampleNames(request: {
  binary: RcloneBinary;
  definition: RemoteDefinition;
  hostKey: string | null;
  /** Private folder. */
  cwd: string;
  signal: AbortSignal;
  limit: number;
}): Promise<string[]> {
  const { binary, definition, hostKey, cwd, signal, limit } = request;
  const remote = sourceRemote('SRC', definition, { hostKey });
  const command = rcloneCommand(['lsf', remote.at(''), '--max-depth', '1', ...IMPATIENT], [remote]);
  const child = startRclone(binary, command, { folder: cwd, signal });
  const failures = new FailureLog({ SRC: definition.side, DST: definition.side });
  const logged = (async () => {
    for await (const line of readLog(child.stderr)) failures.take(line);
  })();
  const names: string[] = [];
  for await (const line of linesOf(child.stdout)) {
    if (names.length < limit && line !== '') names.push(pathOfRcloneName(Buffer.from(line)));
    else child.kill();
  }
  await logged;
  const end = await child.ended;
  signal.throwIfAborted();
  const failure = end.reason === 'stopped' ? null : failures.verdict(end, null);
  if (failure !== null)
    throw callError(failure.code === 'ERR_TRANSFER' ? { ...failure, code: 'ERR_SOURCE_LISTING' } : failure);
  return names;
}
