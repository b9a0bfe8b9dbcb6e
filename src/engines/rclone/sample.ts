import type { RemoteDefinition } from '../../sources/registry.ts';
import { linesOf } from './log.ts';
import { callError, endOf, ErrorLog, readLog, startRclone, type RcloneBinary } from './process.ts';
import { sourceRemote } from './remotes.ts';

/**
 * Some names that lie directly at a source's path; folders end in a slash. Reads one level and writes nothing.
 * @throws BackupError with the class of what went wrong
 */
export async function sampleNames(request: {
  binary: RcloneBinary;
  definition: RemoteDefinition;
  hostKey: string | null;
  cwd: string;
  signal: AbortSignal;
  limit: number;
}): Promise<string[]> {
  const remote = sourceRemote('SRC', request.definition, { hostKey: request.hostKey });
  const child = startRclone(
    request.binary,
    [
      'lsf',
      remote.at(''),
      '--max-depth',
      '1',
      '--low-level-retries',
      '1',
      '--contimeout',
      '6s',
      '--timeout',
      '7s',
      '--log-level',
      'NOTICE',
    ],
    [remote],
    { cwd: request.cwd },
  );
  const stop = (): void => void child.stop(500);
  request.signal.addEventListener('abort', stop, { once: true });
  const errors = new ErrorLog();
  const logged = readLog(child, (line) => void errors.take(line));
  const names: string[] = [];
  let enough = false;
  for await (const line of linesOf(child.stdout)) {
    if (line !== '') names.push(line);
    if (names.length < request.limit) continue;
    enough = true;
    break;
  }
  if (enough) await child.stop(0);
  await logged;
  const end = endOf(await child.ended, errors);
  request.signal.removeEventListener('abort', stop);
  if (end !== null && !enough) throw callError(end);
  return names;
}
