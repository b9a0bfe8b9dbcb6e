import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { BackupError } from '../errors/backup-error.ts';

/**
 * The leash: a small bash process between a supervisor and its child. The child dies
 * - when the supervisor dies: the leash is told by the kernel (`--pdeathsig`), and reads the end of its heartbeats;
 * - when the supervisor falls silent (stopped, swapped out, blocked): heartbeats on file descriptor 3 fail to come for `silence`;
 * - when the leash itself dies: the child's own `--pdeathsig`.
 *
 * SIGTERM and SIGINT are passed on; the exit code is the child's (128 + n after a signal), or `LEASH_LET_GO`. The reader of the
 * heartbeats is a process of its own because bash does not notice the end of a child while it reads. It kills nothing: it tells the
 * leash, which knows whether its child's number is still its child's. The leash waits for that one child, never for "the next one"
 * (`wait -n`), which misses a child that ends just before the call.
 */
const SCRIPT = `
silence=$1; shift
child= stop= quiet= hit=
pass() { hit=1; stop=$1; [ -n "$child" ] && kill -s "$1" "$child"; }
trap 'pass TERM' TERM
trap 'pass INT' INT
trap 'quiet=1 hit=1; [ -n "$child" ] && kill -KILL "$child"' USR1
exec 4>&2 2>/dev/null
(
  trap - TERM INT USR1
  while IFS= read -r -t "$silence" _; do :; done
  read -r _ _ _ parent _ < "/proc/$BASHPID/stat"
  [ "$parent" = "$$" ] && kill -USR1 "$$"
) <&3 >/dev/null 4>&- &
watcher=$!
setpriv --pdeathsig KILL -- "$@" <&0 2>&4 3<&- 4>&- &
child=$!
exec 3<&- 4>&- >/dev/null
[ -n "$stop" ] && kill -s "$stop" "$child"
[ -n "$quiet" ] && kill -KILL "$child"
while :; do
  hit=
  wait "$child"
  code=$?
  [ -z "$hit" ] && break
done
kill "$watcher"
wait "$watcher"
[ -n "$quiet" ] && exit 120
exit "$code"
`;

/** Exit code of a leash that ended its child because the supervisor was silent or gone. rclone and kopia never use it. */
export const LEASH_LET_GO = 120;

/** File descriptor on which the leash reads heartbeats: anything followed by a newline. */
export const HEARTBEAT_FD = 3;

const PROGRAMS = ['setpriv', 'bash'] as const;

/** Command line that runs `command` on a leash which bears `silenceMs` without a heartbeat. */
export function leashed(silenceMs: number, command: readonly string[]): { file: string; args: string[] } {
  return {
    file: 'setpriv',
    args: [
      ...['--pdeathsig', 'KILL', '--', 'bash', '--norc', '--noprofile', '-c', SCRIPT],
      'leash',
      (silenceMs / 1000).toFixed(3),
      ...command,
    ],
  };
}

/**
 * What the leash needs and does not find on `path` (util-linux's `setpriv`, `bash`). Empty on every usual Linux; children are never
 * started without a leash.
 */
export function missingForLeash(path: string = process.env['PATH'] ?? ''): string[] {
  if (process.platform !== 'linux') return [`Linux (this is ${process.platform})`];
  return PROGRAMS.filter((program) => !path.split(delimiter).some((folder) => isExecutable(join(folder, program))));
}

/** @throws BackupError `ERR_TOOL_MISSING` that names what is missing */
export function requireLeash(): void {
  const missing = missingForLeash();
  if (missing.length === 0) return;
  throw new BackupError(
    'ERR_TOOL_MISSING',
    `Transfers cannot be supervised: ${missing.join(', ')} is missing. Install the packages util-linux and bash.`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
