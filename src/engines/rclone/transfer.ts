import { randomBytes } from 'node:crypto';
import type { ErrorCode } from '../../errors/catalogue.ts';
import { startLeashed, type LeashedChild } from './leashed.ts';
import type { EngineEvent, EngineProcess, TransferOutcome } from '../port.ts';
import { EventQueue } from './event-queue.ts';
import { endOf, ErrorLog, rcloneCommand, readLog, type RcloneBinary, type RcloneCommand } from './process.ts';
import type { Remote } from './remotes.ts';

export interface TransferCall {
  readonly binary: RcloneBinary;
  readonly args: readonly string[];
  readonly remotes: readonly Remote[];
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly statsSeconds: number;
  /** Bytes per second, 0 = unlimited. */
  readonly bandwidth: number;
}

/** One transferring call of rclone (`copy`, `copyto`), supervised: progress and errors from its log, live bandwidth over its rc. */
export function startTransfer(call: TransferCall): EngineProcess {
  const rc = { user: 'e3', password: randomBytes(18).toString('base64url'), address: null as string | null };
  const { args, env } = transferCommand(call, rc);
  const child = startLeashed(call.binary.path, args, { env, cwd: call.cwd });
  const events = new EventQueue<EngineEvent>();
  const stopping = { asked: false };
  const stop = async (graceMs: number): Promise<void> => {
    stopping.asked = true;
    await child.stop(graceMs);
  };
  const onAbort = (): void => void stop(5_000);
  call.signal.addEventListener('abort', onAbort, { once: true });
  if (call.signal.aborted) onAbort();
  const done = follow(child, events, rc, stopping).finally(() => call.signal.removeEventListener('abort', onAbort));
  return {
    events,
    done,
    stop: async (options) => await stop(options?.graceMs ?? 5_000),
    async setBandwidth(bytesPerSecond) {
      if (rc.address === null) return;
      await fetch(new URL('core/bwlimit', rc.address), {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Basic ${Buffer.from(`${rc.user}:${rc.password}`).toString('base64')}`,
        },
        body: JSON.stringify({ rate: bytesPerSecond > 0 ? `${bytesPerSecond}B` : 'off' }),
        signal: AbortSignal.timeout(5_000),
      });
    },
  };
}

/** The whole command line of a transferring call. */
export function transferCommand(
  call: Pick<TransferCall, 'args' | 'remotes' | 'statsSeconds' | 'bandwidth'>,
  rc: { readonly user: string; readonly password: string },
): RcloneCommand {
  return rcloneCommand(
    [
      ...call.args,
      ...['--stats', `${call.statsSeconds}s`, '--stats-log-level', 'NOTICE', '--log-level', 'NOTICE'],
      ...['--rc', '--rc-addr', '127.0.0.1:0'],
      ...(call.bandwidth > 0 ? ['--bwlimit', `${call.bandwidth}B`] : []),
    ],
    call.remotes,
    { RCLONE_RC_USER: rc.user, RCLONE_RC_PASS: rc.password },
  );
}

async function follow(
  child: LeashedChild,
  events: EventQueue<EngineEvent>,
  rc: { address: string | null },
  stopping: { readonly asked: boolean },
): Promise<TransferOutcome> {
  const errors = new ErrorLog();
  const failed = new Map<string, { code: ErrorCode; message: string }>();
  child.stdout.resume();
  await readLog(child, (line) => {
    rc.address ??= /Serving remote control on (http:\/\/\S+)/.exec(line.message)?.[1] ?? null;
    if (line.stats !== null) events.push({ type: 'progress', progress: line.stats });
    const error = errors.take(line);
    if (
      error === null ||
      !/^(Failed to copy|Failed to open|Failed to |error reading|corrupted|Can't )/i.test(line.message)
    )
      return;
    failed.set(error.path, { code: error.code, message: error.message });
    events.push({ type: 'file_failed', path: error.path, code: error.code, message: error.message });
  });
  const ended = await child.ended;
  events.end();
  const end = endOf(ended, errors);
  const killed = end?.code === 'ERR_RCLONE_KILLED' || end?.code === 'ERR_RCLONE_START';
  // An exit code other than 0 with every failure named is a transfer with failed files, not a failed transfer.
  return {
    failed,
    fatal: end !== null && (failed.size === 0 || killed) ? end : null,
    exitCode: ended.code,
    stopped: stopping.asked,
  };
}
