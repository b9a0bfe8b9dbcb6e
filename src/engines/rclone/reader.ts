import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { BackupError } from '../../errors/backup-error.ts';
import { rcloneNameOfPath } from '../../layout/encoding.ts';
import { redact } from '../../security/redact.ts';
import type { RemoteDefinition } from '../../sources/registry.ts';
import type { SourceFile, SourceReader } from '../port.ts';
import { RcloneDaemon } from './daemon.ts';
import { classify } from './error-classes.ts';
import type { RcloneBinary } from './process.ts';
import { aliasRemote, sourceRemote } from './remotes.ts';

export interface RcloneReaderOptions {
  readonly binary: RcloneBinary;
  readonly definition: RemoteDefinition;
  readonly hostKey: string | null;
  /** Private folder of the run. */
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly filesAtOnce: number;
  /** Bytes per second, 0 = unlimited. */
  readonly bandwidth: number;
  /** Flags of the source's type. */
  readonly flags: readonly string[];
}

/** It only passes bytes on: little rubbish, and the worker's memory is for the archive. */
const RUNTIME = { GODEBUG: 'adaptivestackstart=1', GOMEMLIMIT: '64MiB', GOGC: '50' };
const LONGEST_ERROR = 64 * 1024;

/** Reads files of any source through one rclone, which is started with the first of them. */
export function rcloneReader(options: RcloneReaderOptions): SourceReader {
  return new RcloneReader(options);
}

class RcloneReader implements SourceReader {
  readonly filesAtOnce: number;
  readonly #options: RcloneReaderOptions;
  #daemon: RcloneDaemon | null = null;

  constructor(options: RcloneReaderOptions) {
    this.#options = options;
    this.filesAtOnce = options.filesAtOnce;
  }

  async open({ path, size }: Pick<SourceFile, 'path' | 'size'>, first: number): Promise<AsyncIterable<Buffer>> {
    const daemon = (this.#daemon ??= this.#start());
    const answer = await daemon.fetch(addressOf(path), first > 0 ? { range: `bytes=${first}-` } : {});
    const { statusCode = 0 } = answer;
    if (statusCode !== (first > 0 ? 206 : 200)) throw this.#failure(statusCode, await textOf(answer));
    const pieces = this.#pieces(answer);
    return size < 0 ? this.#confirmed(pieces, path, daemon) : pieces;
  }

  async close(): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = null;
    await daemon?.stop();
  }

  #start(): RcloneDaemon {
    const { binary, definition, hostKey, folder, signal, bandwidth, flags } = this.#options;
    const source = sourceRemote('SRC', definition, { hostKey });
    return new RcloneDaemon({
      binary,
      flags: [
        ...['--rc-serve', '--buffer-size', '0', ...flags],
        // Otherwise rclone itself goes on in the middle of a file, and looks at nothing.
        ...(definition.pace.resumes === false ? ['--low-level-retries', '1'] : []),
        ...(bandwidth > 0 ? ['--bwlimit', `${Math.max(1, Math.round(bandwidth))}B`] : []),
      ],
      // Under another name the root, whatever characters it holds, need not stand in an address.
      remotes: [source, aliasRemote(FILES, source)],
      folder,
      signal,
      runtime: RUNTIME,
    });
  }

  async *#pieces(answer: IncomingMessage): AsyncGenerator<Buffer> {
    try {
      yield* answer as AsyncIterable<Buffer>;
    } catch (cause) {
      // rclone says in its log only what it was; the connection is all that shows here.
      this.#options.signal.throwIfAborted();
      throw new BackupError('ERR_NETWORK', undefined, { cause });
    } finally {
      answer.destroy();
    }
  }

  /**
   * An answer whose length nobody knew ends in the same way, whether rclone came to the end of the file or the source broke off. Its list of
   * transfers tells the two apart; each stands there before the end of its answer is sent.
   */
  async *#confirmed(pieces: AsyncIterable<Buffer>, path: string, daemon: RcloneDaemon): AsyncGenerator<Buffer> {
    let bytes = 0;
    for await (const piece of pieces) {
      bytes += piece.length;
      yield piece;
    }
    const { transferred } = Transferred.parse(await daemon.call('core/transferred', {}));
    const name = rcloneNameOfPath(path).toString('utf8');
    const last = transferred.findLast((transfer) => transfer.name === name);
    if (last?.error === '' && last.bytes === bytes) return;
    if (last !== undefined && last.error !== '') throw this.#failure(0, last.error);
    throw new BackupError('ERR_NETWORK', undefined, { cause: new Error('no transfer is known that came to its end') });
  }

  #failure(status: number, text: string): BackupError {
    const message = messageOf(text);
    // There is nothing but the source here.
    const { side } = this.#options.definition;
    const { code } = classify(message, { SRC: side, DST: side });
    const found = code === 'ERR_TRANSFER' && status === 404 ? 'ERR_SOURCE_NOT_FOUND' : code;
    return new BackupError(found, undefined, { cause: new Error(redact(message)) });
  }
}

const FILES = 'FILES';
/** The last hundred that have ended, in the order in which they began. */
const Transferred = z.looseObject({
  transferred: z.array(z.looseObject({ name: z.string(), bytes: z.number(), error: z.string() })),
});

function addressOf(path: string): string {
  const name = [...rcloneNameOfPath(path)].map((byte) =>
    isPlain(byte) ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
  );
  return `/%5B${FILES}:%5D/${name.join('')}`;
}

/** Letters, digits, and what stands for itself in an address; a slash parts folders. */
function isPlain(byte: number): boolean {
  return /[\w~/-]/.test(String.fromCharCode(byte)) && byte < 0x80;
}

function messageOf(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === 'string' ? error : text;
  } catch {
    return text;
  }
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of answer) {
    text += String(piece);
    if (text.length > LONGEST_ERROR) break;
  }
  return text;
}
