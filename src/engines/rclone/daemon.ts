import { randomBytes } from 'node:crypto';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { BackupError, isBackupError } from '../../errors/backup-error.ts';
import type { SupervisedChild } from '../child.ts';
import { readLog } from './log.ts';
import { callError, rcloneCommand, startRclone, stopChild, type RcloneBinary } from './process.ts';
import type { Remote } from './remotes.ts';

export interface DaemonOptions {
  readonly binary: RcloneBinary;
  /** Flags of every transfer. */
  readonly flags: readonly string[];
  readonly remotes: readonly Remote[];
  /** Private folder of the run. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** For Go's runtime, instead of the usual. */
  readonly runtime?: Readonly<Record<string, string>>;
}

/** Calls that are under way at once have a connection each. */
const CONNECTIONS = 16;
/** rclone ends calls that take longer: one may be a single file of many gigabytes. */
const LONGEST_CALL = '240h';
const GRACE_MS = 5_000;
/**
 * For Go's runtime. Each call begins on a stack that has to grow many times on the way through the S3 library, unless it begins with the
 * usual size: a sixth of the time. Rubbish is collected less often, as long as there is little of it.
 */
const RUNTIME = { GODEBUG: 'adaptivestackstart=1', GOGC: '400', GOMEMLIMIT: '192MiB' };
/** Answers hold an error for each file of a call at most. */
const LONGEST_ANSWER = 16 * 1024 * 1024;

/**
 * One rclone that waits for calls (`rclone rcd`), on a leash as every child: for many small transfers, of which each would cost more to
 * start a program for than to do. It listens on loopback, behind a password of its own that goes by environment.
 */
export class RcloneDaemon {
  readonly #child: SupervisedChild;
  readonly #signal: AbortSignal;
  readonly #password = randomBytes(18).toString('base64url');
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  readonly #address: Promise<URL>;
  #over = false;

  constructor(options: DaemonOptions) {
    this.#signal = options.signal;
    const command = rcloneCommand(
      [
        'rcd',
        ...options.flags,
        ...['--rc-addr', '127.0.0.1:0', '--rc-server-read-timeout', LONGEST_CALL],
        ...['--rc-server-write-timeout', LONGEST_CALL],
      ],
      options.remotes,
      { RCLONE_RC_USER: USER, RCLONE_RC_PASS: this.#password, ...(options.runtime ?? RUNTIME) },
    );
    this.#child = startRclone(options.binary, command, { folder: options.folder });
    this.#child.stdout.resume();
    const onAbort = (): void => this.#abort();
    options.signal.addEventListener('abort', onAbort, { once: true });
    if (options.signal.aborted) onAbort();
    this.#address = this.#findAddress();
    // Told to whoever calls.
    this.#address.catch(() => undefined);
    void this.#child.ended.then(() => {
      this.#over = true;
      options.signal.removeEventListener('abort', onAbort);
    });
  }

  /** One call of its remote control. @throws BackupError `ERR_RCLONE_START`, `ERR_RCLONE_KILLED`, the signal's reason */
  async call(path: string, input: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
    try {
      const answer = await this.#send(new URL(path, await this.#address), JSON.stringify(input));
      return JSON.parse(answer) as Record<string, unknown>;
    } catch (error) {
      this.#signal.throwIfAborted();
      if (isBackupError(error)) throw error;
      throw new BackupError(this.#over ? 'ERR_RCLONE_KILLED' : 'ERR_TRANSFER', undefined, { cause: error });
    }
  }

  /**
   * The answer to a GET, whatever its status; `path` is percent-encoded. For a program that was started with `--rc-serve`.
   * @throws BackupError `ERR_RCLONE_START`, `ERR_RCLONE_KILLED`, the signal's reason
   */
  async fetch(path: string, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    try {
      return await this.#get(new URL(path, await this.#address), headers);
    } catch (error) {
      this.#signal.throwIfAborted();
      if (isBackupError(error)) throw error;
      throw new BackupError(this.#over ? 'ERR_RCLONE_KILLED' : 'ERR_TRANSFER', undefined, { cause: error });
    }
  }

  /** Gently, then not. */
  async stop(): Promise<void> {
    this.#agent.destroy();
    await stopChild(this.#child, GRACE_MS);
  }

  /** Whoever has lost the lease may not write a moment longer; everybody else lets rclone clean up. */
  #abort(): void {
    if (isBackupError(this.#signal.reason, 'ERR_LEASE_LOST')) this.#child.kill();
    else void stopChild(this.#child, GRACE_MS);
  }

  #findAddress(): Promise<URL> {
    return new Promise((resolve, reject) => {
      const said: string[] = [];
      const follow = async (): Promise<void> => {
        // To the end: a pipe that nobody reads would stop the program.
        for await (const line of readLog(this.#child.stderr)) {
          const address = /Serving remote control on (http:\/\/\S+)/.exec(line.message)?.[1];
          if (address !== undefined) resolve(new URL(address));
          else if (said.length < 5) said.push(line.message);
        }
        const { reason } = await this.#child.ended;
        reject(
          callError({
            code: reason === 'exit' || reason === 'start' ? 'ERR_RCLONE_START' : 'ERR_RCLONE_KILLED',
            message: said.join('\n').slice(0, 2_000),
          }),
        );
      };
      follow().catch(reject);
    });
  }

  #get(url: URL, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sent = httpRequest(
        url,
        { agent: this.#agent, headers: { ...headers, authorization: this.#authorization } },
        resolve,
      );
      sent.once('error', reject);
      void this.#child.ended.then(() => sent.destroy(new Error('it has ended')));
      sent.end();
    });
  }

  get #authorization(): string {
    return `Basic ${Buffer.from(`${USER}:${this.#password}`).toString('base64')}`;
  }

  #send(url: URL, body: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const sent = httpRequest(
        url,
        {
          method: 'POST',
          agent: this.#agent,
          headers: {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
            authorization: this.#authorization,
          },
        },
        (answer) => {
          const parts: Buffer[] = [];
          let bytes = 0;
          answer.on('data', (part: Buffer) => {
            bytes += part.length;
            if (bytes > LONGEST_ANSWER) sent.destroy(new Error('the answer is too long'));
            else parts.push(part);
          });
          answer.once('error', reject);
          answer.once('end', () => {
            const text = Buffer.concat(parts).toString('utf8');
            if (answer.statusCode === 200) resolve(text);
            else reject(new Error(`HTTP ${answer.statusCode}: ${text.slice(0, 2_000)}`));
          });
        },
      );
      sent.once('error', reject);
      // It may have ended before the call came: then nothing would ever answer.
      void this.#child.ended.then(() => sent.destroy(new Error('it has ended')));
      sent.end(body);
    });
  }
}

const USER = 'e3';
