import { randomBytes } from 'node:crypto';
import { isBackupError } from '../../errors/backup-error.ts';
import type { ChildEnd, SupervisedChild } from '../child.ts';
import type { EngineEvent, EngineProcess, TransferOutcome } from '../port.ts';
import type { Sides } from './error-classes.ts';
import { EventQueue } from './event-queue.ts';
import { FailureLog, type Failure } from './failures.ts';
import { readLog, type LoggedStats, type LogLine } from './log.ts';
import {
  rcloneCommand,
  REQUEST_RETRIES,
  startRclone,
  stopChild,
  type RcloneBinary,
  type RcloneCommand,
} from './process.ts';
import type { Remote } from './remotes.ts';

export interface TransferCall {
  readonly binary: RcloneBinary;
  readonly args: readonly string[];
  readonly remotes: readonly Remote[];
  readonly sides: Sides;
  /** Private folder of the run. */
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly statsSeconds: number;
  /** Bytes per second, 0 = unlimited. */
  readonly bandwidth: number;
  /** What it is asked for, where that is a list. */
  readonly paths?: readonly string[];
  /** Ended when nothing at all moves for so long. Default 15 minutes: longer than rclone's own patience. */
  readonly stallMs?: number;
}

/** Failures of the connection one after the other, after which going on is hopeless: every file would wait for them. */
const HOPELESS = 100;
const GRACE_MS = 5_000;
const STALL_MS = 15 * 60_000;

/** One transferring call of rclone (`copy`, `copyto`), supervised: progress and errors from its log, live bandwidth over its rc. */
export function startTransfer(call: TransferCall): EngineProcess {
  return new Transfer(call);
}

/** The whole command line of a transferring call. */
export function transferCommand(
  call: Pick<TransferCall, 'args' | 'remotes' | 'statsSeconds' | 'bandwidth'>,
  rc: { readonly user: string; readonly password: string },
): RcloneCommand {
  return rcloneCommand(
    [
      ...call.args,
      ...['--stats', `${call.statsSeconds}s`, '--stats-log-level', 'NOTICE'],
      ...['--rc', '--rc-addr', '127.0.0.1:0'],
      ...(call.bandwidth > 0 ? ['--bwlimit', rateOf(call.bandwidth)] : []),
    ],
    call.remotes,
    { RCLONE_RC_USER: rc.user, RCLONE_RC_PASS: rc.password, ...requestRetries(call.remotes) },
  );
}

/** The retries of requests, for each remote by itself: a call that may not resume files has none of its own. */
function requestRetries(remotes: readonly Remote[]): Record<string, string> {
  const types = remotes.flatMap(({ env }) => Object.keys(env)).filter((name) => name.endsWith('_TYPE'));
  return Object.fromEntries(
    types.map((name) => [name.replace(/TYPE$/, 'OVERRIDE.LOW_LEVEL_RETRIES'), REQUEST_RETRIES]),
  );
}

class Transfer implements EngineProcess {
  readonly events = new EventQueue<EngineEvent>();
  readonly done: Promise<TransferOutcome>;
  readonly #call: TransferCall;
  readonly #child: SupervisedChild;
  readonly #failures: FailureLog;
  readonly #rc = { user: 'e3', password: randomBytes(18).toString('base64url'), address: null as string | null };
  #bandwidth: number;
  #asked = false;
  #givenUp: Failure | null = null;
  #arrived = 0;
  #moved: { readonly what: string; readonly at: number };

  constructor(call: TransferCall) {
    this.#call = call;
    this.#bandwidth = call.bandwidth;
    this.#failures = new FailureLog(call.sides, call.paths);
    this.#moved = { what: '', at: performance.now() };
    this.#child = startRclone(call.binary, transferCommand(call, this.#rc), { folder: call.folder });
    const onAbort = (): void => this.#abort();
    call.signal.addEventListener('abort', onAbort, { once: true });
    if (call.signal.aborted) onAbort();
    this.done = this.#follow().finally(() => call.signal.removeEventListener('abort', onAbort));
  }

  async setBandwidth(bytesPerSecond: number): Promise<void> {
    this.#bandwidth = bytesPerSecond;
    if (this.#rc.address !== null) await this.#sendBandwidth(this.#rc.address);
  }

  async stop(options?: { graceMs?: number }): Promise<void> {
    this.#asked = true;
    await stopChild(this.#child, options?.graceMs ?? GRACE_MS);
  }

  /** Whoever has lost the lease may not write a moment longer; everybody else lets rclone clean up. */
  #abort(): void {
    this.#asked = true;
    if (isBackupError(this.#call.signal.reason, 'ERR_LEASE_LOST')) this.#child.kill();
    else void stopChild(this.#child, GRACE_MS);
  }

  async #follow(): Promise<TransferOutcome> {
    this.#child.stdout.resume();
    for await (const line of readLog(this.#child.stderr)) this.#take(line);
    const end = await this.#child.ended;
    const fatal = this.#fatal(end);
    for (const [path, { code, message }] of this.#failures.files) {
      this.events.push({ type: 'file_failed', path, code, message });
    }
    this.events.end();
    return {
      failed: this.#failures.files,
      fatal: fatal === null ? null : { code: fatal.code, message: fatal.message },
      exitCode: end.exitCode,
      stopped: this.#asked,
    };
  }

  #fatal(end: ChildEnd): Failure | null {
    if (this.#givenUp !== null) return this.#givenUp;
    return this.#asked ? null : this.#failures.verdict(end, this.#call.paths?.length ?? null);
  }

  #take(line: LogLine): void {
    if (this.#rc.address === null) this.#findAddress(line);
    if (line.stats !== null) this.#progress(line.stats);
    else this.#failures.take(line);
    if (this.#failures.inRow >= HOPELESS) this.#giveUp(this.#failures.repeated);
  }

  #progress(stats: LoggedStats): void {
    const { checks, ...progress } = stats;
    const now = performance.now();
    const what = `${stats.bytes} ${stats.files} ${checks} ${stats.errors} ${stats.transferring.join('\n')}`;
    // Bytes of files that then fail to arrive are counted too: only files tell success.
    if (stats.files > this.#arrived) this.#failures.succeeded();
    this.#arrived = stats.files;
    if (what !== this.#moved.what) {
      this.#moved = { what, at: now };
    } else if (now - this.#moved.at > (this.#call.stallMs ?? STALL_MS)) {
      this.#giveUp({ code: 'ERR_NETWORK', message: 'Nothing moved any more.', whole: true });
    }
    this.events.push({ type: 'progress', progress });
  }

  #giveUp(failure: Failure | null): void {
    if (this.#givenUp !== null || failure === null) return;
    this.#givenUp = failure;
    void stopChild(this.#child, GRACE_MS);
  }

  #findAddress(line: LogLine): void {
    const address = /Serving remote control on (http:\/\/\S+)/.exec(line.message)?.[1];
    if (address === undefined) return;
    this.#rc.address = address;
    // A limit that was set before there was anybody to tell.
    if (this.#bandwidth !== this.#call.bandwidth) this.#sendBandwidth(address).catch(() => undefined);
  }

  async #sendBandwidth(address: string): Promise<void> {
    const { user, password } = this.#rc;
    const answer = await fetch(new URL('core/bwlimit', address), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
      },
      body: JSON.stringify({ rate: this.#bandwidth > 0 ? rateOf(this.#bandwidth) : 'off' }),
      signal: AbortSignal.timeout(5_000),
    }).catch(() => null);
    // It may have ended meanwhile: then nothing is left to be limited.
    if (answer === null || answer.ok) return;
    throw new Error(`rclone refused the bandwidth limit: HTTP ${answer.status}`);
  }
}

function rateOf(bytesPerSecond: number): string {
  return `${Math.max(1, Math.round(bytesPerSecond))}B`;
}
